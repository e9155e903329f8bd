"""HQ's command line: inventories, campaigns, keys and bundles; and one whole store on this machine (``beckon up``)."""
