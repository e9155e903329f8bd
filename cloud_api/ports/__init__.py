"""What the services need from outside, as Protocols, one module a subject; adapters implement them."""
