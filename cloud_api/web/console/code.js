// The next scan takes the place of a code that was refused, which is still there to be corrected by hand. Whoever has begun
// to type since the page came is not disturbed.
const code = document.getElementById('code');
if (code.value === code.defaultValue) code.select();
