// Minimum of a function of a few variables by the simplex method of Nelder and Mead, "A simplex
// method for function minimization", Computer Journal 7 (1965). Deterministic: the first simplex is
// `start` and one step along each axis.
//
//   Minimize([](std::span<const double> x) { return std::abs(x[0] - 3); }, {0}, 0.5, 200);  // {3}

#ifndef MESHSTEP_SIM_CALIBRATION_MINIMIZE_H_
#define MESHSTEP_SIM_CALIBRATION_MINIMIZE_H_

#include <functional>
#include <span>
#include <vector>

namespace meshstep {

using Objective = std::function<double(std::span<const double>)>;

// The best point seen after `iterations` reflections, expansions, contractions or shrinkings.
std::vector<double> Minimize(const Objective& f, const std::vector<double>& start, double step,
                             int iterations);

// Loss of an error of logarithms: near zero as |e|, growing faster up to 1/2 and as |e| beyond, so
// that a few outliers do not decide.
double RobustLoss(double error);

// Values at the middle and at nine tenths of the sorted `errors`; at least one.
struct Residuals {
  int rows = 0;
  double median = 0, ninetieth = 0;
};
Residuals ResidualsOf(std::vector<double> errors);

}  // namespace meshstep

#endif  // MESHSTEP_SIM_CALIBRATION_MINIMIZE_H_
