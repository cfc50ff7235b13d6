"""The network: names, connections, TLS, HTTP."""
