"""What all HTTP requests and sockets share."""
