"""Everything that is read: lists, results, estimates, exports, and the feed of frames."""
