// The two trees of the double binary tree: tree A is the in-order binary tree over ranks 0 .. p-2
// hung under rank p-1, tree B its mirror image (p even) or A moved on by one rank (p odd), so that
// an inner rank of one is a leaf of the other.
// Source: P. Sanders, J. Speck and J. L. Träff, "Two-tree algorithms for full bandwidth broadcast,
// reduction and scan", Parallel Computing 35(12), 2009.
// Example: TwoTrees(2) are the edges 0 -> 1 and 1 -> 0; both have depth 1.

#ifndef MESHSTEP_SIM_COST_DOUBLE_TREE_H_
#define MESHSTEP_SIM_COST_DOUBLE_TREE_H_

#include <vector>

namespace meshstep {

// By rank.
struct Tree {
  std::vector<int> parent;  // -1: root
  std::vector<int> depth;
};

// Of p > 1 ranks.
std::vector<Tree> TwoTrees(int p);

// The most edges from a rank to its root.
int Depth(const std::vector<Tree>& trees);

}  // namespace meshstep

#endif  // MESHSTEP_SIM_COST_DOUBLE_TREE_H_
