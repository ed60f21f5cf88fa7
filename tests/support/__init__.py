"""The surroundings of the tests: Valkey, database, workers, web server and browser, all real and temporary."""
