"""A transmitter that HQ provisioned: what it sends, where it hangs or who carries it."""

from collections.abc import Mapping
from typing import Annotated, Final, Literal
from uuid import UUID

from pydantic import Field, StringConstraints, model_validator

from engagement.estate.fitting import BeaconParts, beacon_findings
from engagement.finding import Unfit
from engagement.ids import LABEL, BeaconName, MemberId, ZoneName
from engagement.values import Value

U16 = Annotated[int, Field(strict=True, ge=0, le=0xFFFF)]


def _hex(digits: int) -> StringConstraints:
    """In either case, as beacon tools print it; kept in lower case. The pattern is asked first."""
    return StringConstraints(to_lower=True, pattern=rf"^[0-9a-fA-F]{{{digits}}}$")


class IBeaconIdentity(Value):
    uuid: UUID
    major: U16
    minor: U16


class EddystoneUidIdentity(Value):
    """``namespace`` 10 bytes and ``instance`` 6 bytes, as hexadecimal."""

    namespace: Annotated[str, _hex(20)]
    instance: Annotated[str, _hex(12)]


class AltBeaconIdentity(Value):
    """``id`` is the 20-byte beacon id, as hexadecimal."""

    id: Annotated[str, _hex(40)]


class EidIdentity(Value):
    """A rotating identity: ``identity_key`` 16 bytes as hexadecimal, ``rotation_exponent`` K (a new identity every
    2**K seconds), ``clock_offset_s`` the beacon's clock minus Unix time when it was registered."""

    identity_key: Annotated[str, _hex(32)]
    rotation_exponent: Annotated[int, Field(strict=True, ge=0, le=15)]
    clock_offset_s: Annotated[int, Field(strict=True)] = 0


# By the key under which a beacon has one; rules name them in this order.
IDENTITIES: Final[Mapping[str, type[Value]]] = {
    "ibeacon": IBeaconIdentity,
    "eddystone_uid": EddystoneUidIdentity,
    "altbeacon": AltBeaconIdentity,
    "eid": EidIdentity,
}
_KINDS: Final = tuple(IDENTITIES)


class Beacon(Value):
    """``zone`` beacons hang; ``tag`` beacons are carried, by a member where ``member`` says so."""

    name: Annotated[BeaconName, LABEL]
    role: Literal["zone", "tag"]
    zone: Annotated[ZoneName, LABEL] | None = None
    member: Annotated[MemberId, LABEL] | None = None
    ibeacon: IBeaconIdentity | None = None
    eddystone_uid: EddystoneUidIdentity | None = None
    altbeacon: AltBeaconIdentity | None = None
    eid: EidIdentity | None = None

    @model_validator(mode="after")
    def _is_one_thing(self) -> "Beacon":
        if findings := tuple(beacon_findings(self.parts)):
            raise Unfit(findings)
        return self

    @property
    def parts(self) -> BeaconParts:
        # A chain has 100,000 of these.
        fields = self.__dict__
        kinds = [kind for kind in _KINDS if fields[kind] is not None]
        identity = fields[kinds[0]] if kinds else None
        zone = self.zone
        return BeaconParts(self.name, self.role, zone is not None, zone, self.member, tuple(kinds), identity)

    @property
    def identity(self) -> IBeaconIdentity | EddystoneUidIdentity | AltBeaconIdentity | EidIdentity:
        identity = self.ibeacon or self.eddystone_uid or self.altbeacon or self.eid
        assert identity is not None
        return identity
