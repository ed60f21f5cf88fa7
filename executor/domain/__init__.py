"""The concepts of the product: no ORM, no clock, no input or output."""
