// The slowest of many chips. Speeds of chips of one kind are taken as normal about their mean; what
// is sharded or replicated waits for all, so a step goes at the pace of the slowest.

#ifndef MESHSTEP_STRATEGIES_STEP_STRAGGLERS_H_
#define MESHSTEP_STRATEGIES_STEP_STRAGGLERS_H_

namespace meshstep {

// Time on the slowest of n chips over the time on the mean one: 1 + spread · z, with z the expected
// largest of n standard normal samples by Blom's approximation, quantile (n - 3/8) / (n + 1/4)
// (Statistical Estimates and Transformed Beta-Variables, 1958).
double SlowestOf(double chips, double spread);

}  // namespace meshstep

#endif  // MESHSTEP_STRATEGIES_STEP_STRAGGLERS_H_
