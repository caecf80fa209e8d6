#include "sim/calibration/minimize.h"

#include <algorithm>
#include <cmath>

#include "sim/base/check.h"

namespace meshstep {
namespace {

struct Vertex {
  double value;
  std::vector<double> x;
};

bool Better(const Vertex& a, const Vertex& b) { return a.value < b.value; }

// centre + along (worst - centre), centre that of all vertices but the last.
std::vector<double> Along(const std::vector<Vertex>& simplex, double along) {
  const std::size_t n = simplex.size() - 1;
  std::vector<double> x(n);
  for (std::size_t j = 0; j < n; ++j) {
    double centre = 0;
    for (std::size_t i = 0; i < n; ++i) centre += simplex[i].x[j] / static_cast<double>(n);
    x[j] = centre + along * (simplex.back().x[j] - centre);
  }
  return x;
}

void Shrink(const Objective& f, std::vector<Vertex>* simplex) {
  const std::vector<double> best = simplex->front().x;
  for (std::size_t i = 1; i < simplex->size(); ++i) {
    std::vector<double>& x = (*simplex)[i].x;
    for (std::size_t j = 0; j < x.size(); ++j) x[j] = best[j] + 0.5 * (x[j] - best[j]);
    (*simplex)[i].value = f(x);
  }
}

}  // namespace

std::vector<double> Minimize(const Objective& f, const std::vector<double>& start, double step,
                             int iterations) {
  std::vector<Vertex> simplex = {{f(start), start}};
  for (std::size_t j = 0; j < start.size(); ++j) {
    std::vector<double> x = start;
    x[j] += step;
    simplex.push_back({f(x), x});
  }
  const auto at = [&](double along) {
    std::vector<double> x = Along(simplex, along);
    const double value = f(x);
    return Vertex{value, std::move(x)};
  };
  for (int i = 0; i < iterations; ++i) {
    std::stable_sort(simplex.begin(), simplex.end(), Better);
    const Vertex reflected = at(-1);
    if (Better(reflected, simplex.front())) {
      const Vertex expanded = at(-2);
      simplex.back() = Better(expanded, reflected) ? expanded : reflected;
    } else if (Better(reflected, simplex[simplex.size() - 2])) {
      simplex.back() = reflected;
    } else {
      const bool outside = Better(reflected, simplex.back());
      const Vertex contracted = at(outside ? -0.5 : 0.5);
      if (Better(contracted, outside ? reflected : simplex.back())) {
        simplex.back() = contracted;
      } else {
        Shrink(f, &simplex);
      }
    }
  }
  return std::min_element(simplex.begin(), simplex.end(), Better)->x;
}

double RobustLoss(double error) {
  const double e = std::abs(error);
  return e < 0.5 ? e + e * e : 1.5 * e;
}

Residuals ResidualsOf(std::vector<double> errors) {
  CHECK(!errors.empty());
  std::sort(errors.begin(), errors.end());
  const std::size_t n = errors.size();
  return {static_cast<int>(n), errors[n / 2], errors[n * 9 / 10]};
}

}  // namespace meshstep
