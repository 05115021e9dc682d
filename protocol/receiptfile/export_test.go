package receiptfile

// Countable is what Write asks first; writing as much as it allows takes long.
var Countable = countable
