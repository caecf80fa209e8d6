// How an axis of a mesh is split over the dimensions of a torus.
//
// Problem: axes of sizes n_1, n_2, ... come one after another, those that communicate most first.
// Axis i takes q_l of each level l, with product n_i and q_l dividing what is left of the level;
// its part of a dimension gets the stride u_l, the product of what earlier axes took there. Find
// the q_l that let the axis gather fastest.
//
// Symbols: X_l extent of dimension l, B_l one link one way; N the product of q_l over the torus; D
// dies of a chip that the axis does not take, whose groups use the same links. Links w_l that the
// axis has in a dimension, per chip and direction of data:
//   q_l = X_l > 2 on a dimension that closes    2       the ring
//   u_l q_l = X_l on one that closes            2/u_l   rings of every u_l-th chip, interleaved
//   otherwise                                   1/u_l   lines, u_l of them on the same links
// An all-gather of V bytes then drains in (sim/cost/torus_gather.h)
//   t = V (1 - 1/N) D / sum_l w_l B_l + V (1 - 1/q) / B of the dies.
//
// Rule, in this order: take as few slices as can be; fill whole dimensions, of the largest product
// (none is whole in a twisted torus, where the short ones do not close by themselves); have the
// least t; leave the axes after it, in order, the same; have the fewest hops; take the first
// dimensions. An axis has few splits (2^k on 3 dimensions: (k + 1)(k + 2)/2), and only those that
// tie are followed to the axes after it, kMostSplits at most.
//
// JAX assigns axes so: higher intensity first, whole dimensions of the largest product, more of
// them before fewer (jax/_src/mesh_utils.py, create_device_mesh with allow_split_physical_axes,
// _prefer_first_logical_axis_assignment).
// Example: 8, then 32, on 16x16 rings (v5e): 8 takes 4 of x and 2 of y (two links, 7/16 V/B), not 8
// of x (one link, 7/8 V/B); 32 takes every 4th of x and every 2nd of y, 3/2 links.

#ifndef MESHSTEP_TOPOLOGIES_TORUS_SPLIT_H_
#define MESHSTEP_TOPOLOGIES_TORUS_SPLIT_H_

#include <optional>
#include <span>
#include <vector>

#include "topologies/fabric.h"

namespace meshstep {

class TorusSplit {
 public:
  // Of each level: what there is to take, and the stride that what is taken gets.
  TorusSplit(const std::vector<Level>& levels, const std::vector<int>& left,
             const std::vector<int>& stride)
      : levels_(levels), left_(left), stride_(stride) {}

  // q_l per level for an axis of `size` before axes of sizes `later`; nothing if it does not fit.
  std::optional<std::vector<int>> Best(int size, std::span<const int> later) const;

 private:
  const std::vector<Level>& levels_;
  const std::vector<int>& left_;
  const std::vector<int>& stride_;
};

}  // namespace meshstep

#endif  // MESHSTEP_TOPOLOGIES_TORUS_SPLIT_H_
