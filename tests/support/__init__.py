"""What the tests stand on: a Valkey, a database, workers, a web server and a browser, all real and all temporary."""
