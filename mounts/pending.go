package mounts

// pendingXattr notes on a source what owner and mode it is to get as soon as
// the names are known: user:group:mode. Only root can read and write
// attributes of this class (xattr(7)).
const pendingXattr = "trusted.ebb.owner"
