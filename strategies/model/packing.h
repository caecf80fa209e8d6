// Documents packed in one sequence: attention sees a query's own document only.
//
// Symbols: T positions of the sequence, d length of a document, n how many have it. The last document
// is what the others leave. All sequences are packed alike, lengths in turn by their weights: the next
// document is of the length that is most behind its share (largest remainder), so that every stretch
// of the sequence has the mix of the whole.
//
// Example: T = 8, lengths 4 and 1 with weights 1 and 2: 1, 4, 1, 1, 1 (cut).

#ifndef MESHSTEP_STRATEGIES_MODEL_PACKING_H_
#define MESHSTEP_STRATEGIES_MODEL_PACKING_H_

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

namespace meshstep {

struct DocumentLength {
  std::int64_t tokens = 1;
  double weight = 1;
};

class Packing {
 public:
  // Most documents of one sequence; O(documents · lengths) to pack.
  static constexpr std::int64_t kMaxDocuments = 1 << 18;

  // Requires lengths of at least 1 and weights above 0; at most kMaxDocuments fit.
  Packing(std::int64_t sequence, std::span<const DocumentLength> lengths);

  // Where documents end, ascending.
  const std::vector<double>& ends() const { return ends_; }
  // Distinct lengths, ascending, and how many documents have each.
  const std::vector<std::pair<double, double>>& lengths() const { return lengths_; }
  // Of the document of a position, mean over positions: sum of n d^2 / T.
  double MeanLength() const;

 private:
  std::vector<double> ends_;
  std::vector<std::pair<double, double>> lengths_;
};

// Share of the T × T square that a kernel computes where each query sees its document: to leading
// order 1/2 of it if causal, w/T (1 - w/2T) of a causal window of w positions. window 0: all;
// packing null: one document.
double VisibleShare(double sequence, double window, bool causal, const Packing* packing);

}  // namespace meshstep

#endif  // MESHSTEP_STRATEGIES_MODEL_PACKING_H_
