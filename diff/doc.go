// Package diff finds what the next boot will lose: everything in a root that
// was made or changed since the end of activation and that no entry keeps.
//
// A root on btrfs is read in one pass over the tree of its subvolume
// (BTRFS_IOC_TREE_SEARCH_V2), any other by a walk. Either makes a [Tree], which
// takes less than 100 bytes for a file with its name; [Tree.Judge] then leaves
// out what is kept, what is noise and what lies elsewhere, and adds up the rest.
package diff
