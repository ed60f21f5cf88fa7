"""HTTP and WebSockets: the parts that all requests share."""
