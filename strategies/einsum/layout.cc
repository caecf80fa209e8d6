#include "strategies/einsum/layout.h"

#include <algorithm>
#include <map>
#include <utility>

#include "sim/base/check.h"

namespace meshstep::einsum {
namespace {

using Axes = std::vector<AxisId>;

bool Contains(const Axes& axes, AxisId axis) {
  return std::find(axes.begin(), axes.end(), axis) != axes.end();
}

void AddOnce(Axes* axes, AxisId axis) {
  if (!Contains(*axes, axis)) axes->push_back(axis);
}

Axes AxesOf(const Sharding& sharding, const std::string& dim) {
  const int d = sharding.Find(dim);
  return d < 0 ? Axes{} : sharding.dims[static_cast<std::size_t>(d)].axes;
}

// The dimension of `sharding` that `axis` shards, or "".
std::string DimOf(const Sharding& sharding, AxisId axis) {
  for (const ShardedDim& dim : sharding.dims) {
    if (Contains(dim.axes, axis)) return dim.name;
  }
  return "";
}

Axes CommonPrefix(const Axes& a, const Axes& b) {
  Axes prefix;
  for (std::size_t i = 0; i < std::min(a.size(), b.size()) && a[i] == b[i]; ++i) {
    prefix.push_back(a[i]);
  }
  return prefix;
}

bool IsPrefix(const Axes& a, const Axes& b) { return CommonPrefix(a, b) == a; }

// Axes by dimension, applied to the operands of a product.
using Placement = std::map<std::string, Axes>;

Sharding Place(const Sharding& operand, const Placement& placement, Axes unreduced) {
  Sharding placed;
  placed.unreduced = std::move(unreduced);
  for (const ShardedDim& dim : operand.dims) {
    const auto found = placement.find(dim.name);
    placed.dims.push_back({dim.name, found == placement.end() ? Axes{} : found->second});
  }
  return placed;
}

// The book's layout. First each dimension proposes axes; then axes that two dimensions propose go
// to one of them.
class BookRules {
 public:
  BookRules(const BinaryProduct& product, const Sharding* output, const Weight& weight)
      : product_(product), output_(output), weight_(weight) {}

  Layout Run() {
    for (const std::string& dim : product_.Dims()) placement_[dim] = Proposal(dim);
    for (const std::string& dim : product_.Dims()) SettleConflicts(dim);
    return {Place(product_.left.sharding, placement_, Deferred(product_.left, product_.right)),
            Place(product_.right.sharding, placement_, Deferred(product_.right, product_.left))};
  }

 private:
  // What the operands agree on: of a contracted dimension the axes both have, of a batch dimension
  // the longer of the two (slicing the other is free) or what the output wants.
  Axes Proposal(const std::string& dim) const {
    const Axes left = AxesOf(product_.left.sharding, dim);
    const Axes right = AxesOf(product_.right.sharding, dim);
    if (product_.right.sharding.Find(dim) < 0) return left;
    if (product_.left.sharding.Find(dim) < 0) return right;
    const bool contracted =
        std::find(product_.out.begin(), product_.out.end(), dim) == product_.out.end();
    if (contracted) return CommonPrefix(left, right);
    if (IsPrefix(left, right)) return right;
    if (IsPrefix(right, left)) return left;
    const Axes wanted = output_ == nullptr ? left : AxesOf(*output_, dim);
    return wanted == left || wanted == right ? wanted : CommonPrefix(left, right);
  }

  double WeightOf(const std::string& dim) const {
    return weight_(product_.left.sharding.Find(dim) >= 0 ? product_.left : product_.right);
  }

  // True if `dim` keeps `axis` and `other` gives it up.
  bool Keeps(const std::string& dim, const std::string& other, AxisId axis) const {
    if (output_ != nullptr) {
      const std::string wanted = DimOf(*output_, axis);
      if (wanted == dim) return true;
      if (wanted == other) return false;
    }
    // The lighter array is gathered; of equal ones the left.
    if (WeightOf(dim) != WeightOf(other)) return WeightOf(dim) > WeightOf(other);
    return product_.right.sharding.Find(dim) >= 0;
  }

  void SettleConflicts(const std::string& dim) {
    for (auto& [other, axes] : placement_) {
      if (other == dim) continue;
      for (AxisId axis : Axes(axes)) {
        if (!Contains(placement_[dim], axis)) continue;
        std::erase(Keeps(dim, other, axis) ? axes : placement_[dim], axis);
      }
    }
  }

  // Sums that may stay outstanding: the output wants them (or is not written), and the other
  // operand does not use their axis.
  Axes Deferred(const Array& operand, const Array& other) const {
    Axes deferred;
    for (AxisId axis : operand.sharding.unreduced) {
      const bool wanted = output_ == nullptr || Contains(output_->unreduced, axis);
      const bool used = std::any_of(placement_.begin(), placement_.end(), [&](const auto& entry) {
        return Contains(entry.second, axis);
      });
      if (wanted && !used && !Contains(other.sharding.unreduced, axis)) deferred.push_back(axis);
    }
    return deferred;
  }

  const BinaryProduct& product_;
  const Sharding* output_;
  const Weight& weight_;
  Placement placement_;
};

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

  std::vector<Layout> Run(bool* truncated) {
    std::vector<std::size_t> choice(axes_.size(), 0);
    // Illegal combinations are few, so the work is bounded by a multiple of the limit.
    for (std::size_t tried = 0; tried < 4 * limit_ && layouts_.size() < limit_; ++tried) {
      Try(choice);
      std::size_t a = 0;
      while (a < choice.size() && ++choice[a] == options_[a].size()) choice[a++] = 0;
      if (a == choice.size()) return std::move(layouts_);
    }
    *truncated = true;
    return std::move(layouts_);
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
    Placement placed;
    Axes deferred[2];
    for (std::size_t a = 0; a < axes_.size(); ++a) {
      const Position& place = options_[a][choice[a]];
      if (!place.dim.empty()) placed[place.dim].push_back(axes_[a]);
      if (place.deferred_in >= 0) deferred[place.deferred_in].push_back(axes_[a]);
    }
    for (std::size_t first = 0; first < Sources().size(); ++first) {
      Placement ordered;
      for (const auto& [dim, axes] : placed) ordered[dim] = Ordered(dim, axes, first);
      const Layout layout{Place(product_.left.sharding, ordered, deferred[0]),
                          Place(product_.right.sharding, ordered, deferred[1])};
      if (std::find(layouts_.begin(), layouts_.end(), layout) != layouts_.end()) continue;
      if (IsLegal(layout)) layouts_.push_back(layout);
    }
  }

  bool IsLegal(const Layout& layout) const {
    const StatusOr<Sharding> local = LocalProduct(layout.left, layout.right, product_.out);
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
  std::vector<Layout> layouts_;
};

}  // namespace

Layout BookLayout(const BinaryProduct& product, const Sharding* output, const Weight& weight) {
  return BookRules(product, output, weight).Run();
}

std::vector<Layout> AllLayouts(const BinaryProduct& product, const Sharding* output,
                               std::size_t limit, bool* truncated) {
  return Enumeration(product, output, limit).Run(truncated);
}

Array NaturalOutput(const BinaryProduct& product, const std::string& name, const Weight& weight) {
  const Layout layout = BookLayout(product, nullptr, weight);
  StatusOr<Sharding> local = LocalProduct(layout.left, layout.right, product.out);
  CHECK(local.ok()) << local.status();
  return {name, *std::move(local), std::nullopt};
}

}  // namespace meshstep::einsum
