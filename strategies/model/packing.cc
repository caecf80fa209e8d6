#include "strategies/model/packing.h"

#include <algorithm>
#include <map>

#include "sim/base/check.h"

namespace meshstep {

Packing::Packing(std::int64_t sequence, std::span<const DocumentLength> lengths) {
  double weights = 0;
  for (const DocumentLength& length : lengths) weights += length.weight;
  CHECK_GT(weights, 0);
  std::vector<double> placed(lengths.size(), 0);
  std::map<double, double> count;
  double documents = 0;
  for (std::int64_t end = 0; end < sequence;) {
    ++documents;
    std::size_t next = 0;
    double most = 0;
    for (std::size_t i = 0; i < lengths.size(); ++i) {
      const double behind = lengths[i].weight / weights * documents - placed[i];
      if (i == 0 || behind > most) {
        next = i;
        most = behind;
      }
    }
    ++placed[next];
    const std::int64_t tokens = std::min(lengths[next].tokens, sequence - end);
    end += tokens;
    ends_.push_back(static_cast<double>(end));
    ++count[static_cast<double>(tokens)];
  }
  lengths_.assign(count.begin(), count.end());
}

double Packing::MeanLength() const {
  double squares = 0;
  for (const auto& [length, documents] : lengths_) squares += documents * length * length;
  return squares / ends_.back();
}

double VisibleShare(double sequence, double window, bool causal, const Packing* packing) {
  const auto share = [&](double length) {
    const double w = window > 0 ? std::min(1.0, window / length) : 1;
    return causal ? w * (1 - w / 2) : std::min(1.0, 2 * w - w * w);
  };
  if (packing == nullptr) return share(sequence);
  double pairs = 0;
  for (const auto& [length, documents] : packing->lengths()) {
    pairs += documents * length * length * share(length);
  }
  return pairs / (sequence * sequence);
}

}  // namespace meshstep
