"""Everything a shopper's phone can reach: probes on http, pages and their JSON twins on https."""
