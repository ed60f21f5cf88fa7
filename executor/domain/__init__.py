"""The words of the product and what they mean: no ORM, no clock, no input or output."""
