"""The program that runs in the store: hears beacons, serves shoppers and tills, keeps the ledger."""
