#include "sim/cost/double_tree.h"

#include <algorithm>
#include <bit>

namespace meshstep {
namespace {

// Ranks [first, last) as an in-order tree: the root is the multiple of the largest power of two.
void Hang(int first, int last, int parent, int depth, Tree* tree) {
  if (first >= last) return;
  const int half = 1 << (std::bit_width(static_cast<unsigned>(last - first)) - 1);
  const int root = first + half - 1;
  tree->parent[static_cast<std::size_t>(root)] = parent;
  tree->depth[static_cast<std::size_t>(root)] = depth;
  Hang(first, root, root, depth + 1, tree);
  Hang(root + 1, last, root, depth + 1, tree);
}

Tree TreeA(int p) {
  Tree tree{std::vector<int>(static_cast<std::size_t>(p), -1),
            std::vector<int>(static_cast<std::size_t>(p), 0)};
  Hang(0, p - 1, p - 1, 1, &tree);
  return tree;
}

// The tree with rank r called name[r].
Tree Renamed(const Tree& tree, const std::vector<int>& name) {
  Tree renamed = tree;
  for (std::size_t r = 0; r < name.size(); ++r) {
    const auto to = static_cast<std::size_t>(name[r]);
    const int parent = tree.parent[r];
    renamed.parent[to] = parent < 0 ? -1 : name[static_cast<std::size_t>(parent)];
    renamed.depth[to] = tree.depth[r];
  }
  return renamed;
}

}  // namespace

std::vector<Tree> TwoTrees(int p) {
  const Tree a = TreeA(p);
  std::vector<int> other;
  for (int r = 0; r < p; ++r) other.push_back(p % 2 == 0 ? p - 1 - r : (r + 1) % p);
  return {a, Renamed(a, other)};
}

int Depth(const std::vector<Tree>& trees) {
  int depth = 0;
  for (const Tree& tree : trees) {
    depth = std::max(depth, *std::max_element(tree.depth.begin(), tree.depth.end()));
  }
  return depth;
}

}  // namespace meshstep
