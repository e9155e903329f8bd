"""What Bluetooth advertisements say: bytes on the air to frames, frames to provisioned beacons."""
