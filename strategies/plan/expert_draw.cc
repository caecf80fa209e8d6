#include "strategies/plan/expert_draw.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numbers>

namespace meshstep {
namespace {

// SplitMix64: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014.
class SplitMix {
 public:
  explicit SplitMix(std::uint64_t seed) : state_(seed) {}

  std::uint64_t Next() {
    std::uint64_t z = (state_ += 0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }
  // In (0, 1].
  double Uniform() { return std::ldexp(static_cast<double>((Next() >> 11) + 1), -53); }
  // Box and Muller, Annals of Mathematical Statistics 29, 1958.
  double Normal() {
    const double radius = std::sqrt(-2 * std::log(Uniform()));
    return radius * std::cos(2 * std::numbers::pi * Uniform());
  }

 private:
  std::uint64_t state_;
};

double OfLayer(const ExpertDraw& draw, SplitMix* random) {
  double most = 0, all = 0;
  for (int rank = 0; rank < draw.ranks; ++rank) {
    double tokens = 0;
    for (int e = 0; e < draw.experts / draw.ranks; ++e) {
      tokens += std::exp(draw.spread * random->Normal());
    }
    most = std::max(most, tokens);
    all += tokens;
  }
  return std::clamp(draw.ranks * most / all, 1.0, static_cast<double>(draw.ranks));
}

}  // namespace

double DrawnImbalance(const ExpertDraw& draw) {
  SplitMix random(static_cast<std::uint64_t>(draw.seed));
  double sum = 0;
  for (int layer = 0; layer < draw.layers; ++layer) sum += OfLayer(draw, &random);
  return sum / draw.layers;
}

}  // namespace meshstep
