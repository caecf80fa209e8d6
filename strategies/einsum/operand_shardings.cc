#include "strategies/einsum/operand_shardings.h"

#include <algorithm>

#include "strategies/einsum/notation/axes_by_dim.h"

namespace meshstep::einsum {
namespace {

// Where one axis may be: on a dimension, nowhere, or outstanding in one operand.
struct Position {
  std::string dim;       // "" for nowhere
  int deferred_in = -1;  // 0 left, 1 right
};

class Enumeration {
 public:
  Enumeration(const BinaryProduct& product, const Sharding* output, std::size_t limit)
      : product_(product), output_(output), limit_(limit) {
    for (const Sharding* s : Sources()) {
      for (const ShardedDim& dim : s->dims) {
        for (AxisId axis : dim.axes) AddOnce(&axes_, axis);
      }
      for (AxisId axis : s->unreduced) AddOnce(&axes_, axis);
    }
    for (AxisId axis : axes_) options_.push_back(OptionsOf(axis));
  }

  std::vector<OperandShardings> Run(bool* truncated) {
    std::vector<std::size_t> choice(axes_.size(), 0);
    // Illegal combinations are few, so the work is bounded by a multiple of the limit.
    for (std::size_t tried = 0; tried < 4 * limit_ && found_.size() < limit_; ++tried) {
      Try(choice);
      std::size_t a = 0;
      while (a < choice.size() && ++choice[a] == options_[a].size()) choice[a++] = 0;
      if (a == choice.size()) return std::move(found_);
    }
    *truncated = true;
    return std::move(found_);
  }

 private:
  std::vector<const Sharding*> Sources() const {
    std::vector<const Sharding*> sources = {&product_.left.sharding, &product_.right.sharding};
    if (output_ != nullptr) sources.push_back(output_);
    return sources;
  }

  std::vector<Position> OptionsOf(AxisId axis) const {
    std::vector<Position> options;
    for (const Sharding* s : Sources()) {
      const std::string dim = DimOf(*s, axis);
      const bool known = std::any_of(options.begin(), options.end(),
                                     [&](const Position& p) { return p.dim == dim; });
      if (!dim.empty() && !known) options.push_back({dim, -1});
    }
    options.push_back({"", -1});
    if (Contains(product_.left.sharding.unreduced, axis)) options.push_back({"", 0});
    if (Contains(product_.right.sharding.unreduced, axis)) options.push_back({"", 1});
    return options;
  }

  // The axes placed on `dim`, in the order of one source, then of the others.
  Axes Ordered(const std::string& dim, const Axes& placed, std::size_t first) const {
    Axes ordered;
    const std::vector<const Sharding*> sources = Sources();
    for (std::size_t i = 0; i < sources.size(); ++i) {
      for (AxisId axis : AxesOf(*sources[(first + i) % sources.size()], dim)) {
        if (Contains(placed, axis)) AddOnce(&ordered, axis);
      }
    }
    return ordered;
  }

  void Try(const std::vector<std::size_t>& choice) {
    AxesByDim placed;
    Axes deferred[2];
    for (std::size_t a = 0; a < axes_.size(); ++a) {
      const Position& place = options_[a][choice[a]];
      if (!place.dim.empty()) placed[place.dim].push_back(axes_[a]);
      if (place.deferred_in >= 0) deferred[place.deferred_in].push_back(axes_[a]);
    }
    for (std::size_t first = 0; first < Sources().size(); ++first) {
      AxesByDim ordered;
      for (const auto& [dim, axes] : placed) ordered[dim] = Ordered(dim, axes, first);
      const OperandShardings shardings{ShardedBy(ordered, product_.left.sharding, deferred[0]),
                                       ShardedBy(ordered, product_.right.sharding, deferred[1])};
      if (std::find(found_.begin(), found_.end(), shardings) != found_.end()) continue;
      if (IsLegal(shardings)) found_.push_back(shardings);
    }
  }

  bool IsLegal(const OperandShardings& shardings) const {
    const StatusOr<Sharding> local = LocalProduct(shardings.left, shardings.right, product_.out);
    if (!local.ok()) return false;
    if (output_ == nullptr) return true;
    return std::all_of(output_->unreduced.begin(), output_->unreduced.end(),
                       [&](AxisId axis) { return Contains(local->unreduced, axis); });
  }

  const BinaryProduct& product_;
  const Sharding* output_;
  std::size_t limit_;
  Axes axes_;
  std::vector<std::vector<Position>> options_;
  std::vector<OperandShardings> found_;
};

}  // namespace

std::vector<OperandShardings> AllShardings(const BinaryProduct& product, const Sharding* output,
                                           std::size_t limit, bool* truncated) {
  return Enumeration(product, output, limit).Run(truncated);
}

}  // namespace meshstep::einsum
