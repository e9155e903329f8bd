"""Makes HQ able to seal: the desk's root signs the request that HQ made, and HQ is given the certificate."""

from provisioning.ports import HqAuthority, Root


async def certify(hq: HqAuthority, root: Root, *, replace_root: bool = False) -> bool:
    """Certify HQ unless this root, as it is now, has done so; answers whether anything was to do.

    A root that was issued anew certifies again, for claim codes carry the fingerprint of the one that HQ has.
    ``replace_root``: also when HQ's agents have pinned another root; each then needs a new claim code.
    Errors: HqSilent, HqRefused.
    """
    key = await hq.authority()
    if key.certified is not None and key.certified.root_pem == root.pem:
        return False
    await hq.put_authority(root.certify(key.request_pem), replace_root=replace_root)
    return True
