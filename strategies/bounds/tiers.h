// Time of one collective on a machine of two tiers, by bandwidth alone: domains of chips (a node on
// NVLink, a slice of a torus) whose chips each have their own way out. `meshstep einsum` and
// `meshstep roofline` both price with it; `meshstep collective` runs algorithms that reach it.
//
// Symbols of "How To Scale Your Model", chapter GPUs:
//   V       bytes of the array as the group sees it: gathered, or before it is reduced
//   N       chips of the group, D of them in each of M = N / D domains
//   w       one chip into its domain, one way; w_out: out of it. In a full mesh a chip has D-1
//   links
//           of w_1 to the others of the group: w = (D-1) w_1
//
//                          inside a domain      between domains
//   gather, sum-scatter    V (D-1)/(D w)        V (M-1)/(M D w_out)
//   all-to-all             V (D-1)/(N^2 w)      V (N-D)/(N^2 w_out)
//
// The two tiers work at once, so the longer counts. The book drops (D-1)/D inside a domain.
// Example: X=512 beside Y=8 on nodes of 8 H100: every chip of the group is in another node, D = 1;
// 117 MB take 117e6 · 511/512 / 50e9 = 2.34 ms, not 117e6 / 450e9.

#ifndef MESHSTEP_STRATEGIES_BOUNDS_TIERS_H_
#define MESHSTEP_STRATEGIES_BOUNDS_TIERS_H_

namespace meshstep {

// Rates of one chip, bytes/s one way; 0 where not known.
struct Tiers {
  double domain = 1;     // chips
  double link = 0;       // w, or w_1 of a full mesh
  double scale_out = 0;  // w_out
  bool full_mesh = false;
};

struct TierGroup {
  double ranks = 1;  // N
  double local = 1;  // D
  double domains() const { return ranks / local; }
};

// How many of `size` chips, `stride` apart in the order in which chips fill domains, are together.
double LocalTo(double domain, double stride, double size);

// NaN across where chips must leave their domain at a rate that is not known.
struct TierTime {
  double within = 0, across = 0;  // seconds
  double total() const;
};

enum class WithinDomain { kExact, kBook };

TierTime GatherTime(const Tiers& tiers, const TierGroup& group, double volume, WithinDomain within);
TierTime ExchangeTime(const Tiers& tiers, const TierGroup& group, double volume,
                      WithinDomain within);

}  // namespace meshstep

#endif  // MESHSTEP_STRATEGIES_BOUNDS_TIERS_H_
