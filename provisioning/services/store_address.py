"""Where one store on this machine answers, and what ``run.json`` says of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engagement.estate.branch import Branch
from provisioning.config import CLOUD_OFFSET, GUEST_HTTP_OFFSET, GUEST_HTTPS_OFFSET, STAFF_HTTPS_OFFSET
from provisioning.services.chain_secrets import ChainSecrets
from provisioning.services.seeding import CASHIER, HQ_USER, HomeSecrets

# On loopback every 127.x.y.z can call, and each stands for another shopper; the page's own address stays one.
ADDRESS = "127.0.0.1"


def portal_name(branch: Branch) -> str:
    """The branch's own host name, for phones in the store. Source: ICANN reserved .internal for private networks."""
    return f"{branch.code.lower().replace('_', '-').strip('-')}.beckon.internal"


@dataclass(frozen=True, slots=True)
class StoreAddress:
    base_port: int

    @property
    def cloud_port(self) -> int:
        return self.base_port + CLOUD_OFFSET

    @property
    def guest_http_port(self) -> int:
        return self.base_port + GUEST_HTTP_OFFSET

    @property
    def guest_https_port(self) -> int:
        return self.base_port + GUEST_HTTPS_OFFSET

    @property
    def staff_https_port(self) -> int:
        return self.base_port + STAFF_HTTPS_OFFSET

    @property
    def ports(self) -> tuple[int, ...]:
        return (self.cloud_port, self.guest_http_port, self.guest_https_port, self.staff_https_port)

    @property
    def shopper_url(self) -> str:
        return f"http://{ADDRESS}:{self.guest_http_port}"

    @property
    def shopper_https_url(self) -> str:
        return f"https://{ADDRESS}:{self.guest_https_port}"

    @property
    def staff_api_url(self) -> str:
        return f"https://{ADDRESS}:{self.staff_https_port}"

    @property
    def till_url(self) -> str:
        return f"{self.staff_api_url}/till"

    @property
    def health_url(self) -> str:
        return f"{self.staff_api_url}/health"

    @property
    def cloud_api_url(self) -> str:
        return f"https://{ADDRESS}:{self.cloud_port}"

    @property
    def hq_url(self) -> str:
        """The console; with its slash, which browsers would add."""
        return f"{self.cloud_api_url}/"

    @property
    def cloud_health_url(self) -> str:
        return f"{self.cloud_api_url}/health"


def run_facts(
    *,
    branch: Branch,
    address: StoreAddress,
    ca_file: Path,
    hq: HomeSecrets,
    known: ChainSecrets,
    radio: str,
    pids: dict[str, int],
) -> dict[str, Any]:
    """The content of ``run.json``. ``member_code`` opens the wallet of the first member who carries a tag."""
    tagged = [beacon.member for beacon in branch.beacons if beacon.member is not None]
    own = known.of(branch.code)
    codes = [known.member_codes[member] for member in tagged if member in known.member_codes]
    return {
        "version": 1,
        "branch": branch.code,
        "radio": radio,
        "shopper_url": address.shopper_url,
        "shopper_https_url": address.shopper_https_url,
        "till_url": address.till_url,
        "staff_api_url": address.staff_api_url,
        "health_url": address.health_url,
        "hq_url": address.hq_url,
        "cloud_api_url": address.cloud_api_url,
        "cloud_health_url": address.cloud_health_url,
        "ca_file": str(ca_file),
        "till_token": own.till_tokens[branch.tills[0].name],
        "cashier": CASHIER,
        "cashier_pin": own.cashiers[CASHIER].pin,
        "member_code": codes[0] if codes else None,
        "hq_user": HQ_USER,
        "hq_password": hq.hq_password,
        "pids": pids,
    }


def summary(
    branch: Branch, facts: dict[str, Any], *, home: Path, logs: Sequence[Path], is_private: bool
) -> str:
    """What the terminal shows once the store is open.

    ``is_private``: a person's own screen, which may show the till's token and HQ's password; a pipe or a log may not.
    """
    token, password = (
        facts[key] if is_private else f"{key} in {home / 'run.json'}" for key in ("till_token", "hq_password")
    )
    return f"""
{branch.name} is open.

  Shoppers      {facts["shopper_url"]}
                (each 127.x.y.z that calls is another phone)
  Till          {facts["till_url"]}
                pair it once with {token}
                then sign in as {facts["cashier"]} with PIN {facts["cashier_pin"]}
  Staff API     {facts["staff_api_url"]}
  Health        {facts["health_url"]}
  HQ            {facts["hq_url"]}
                sign in as {facts["hq_user"]} with {password}
  HQ's health   {facts["cloud_health_url"]}
  Member code   {facts["member_code"] or "none: no member carries a tag"}
  Radio         {facts["radio"]}

  The pages are signed by an authority made for this home; it can vouch for this machine only.
  To spare the browser's warning, import it:
                {facts["ca_file"]}
  or call with  curl --cacert {facts["ca_file"]} {facts["health_url"]}

  State         {home}
  Logs          {", ".join(map(str, logs))}
  Ctrl-C stops everything.
"""
