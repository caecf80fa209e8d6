#include "strategies/einsum/notation/book_rules.h"

#include <algorithm>
#include <utility>

#include "sim/base/check.h"
#include "strategies/einsum/notation/axes_by_dim.h"

namespace meshstep::einsum {
namespace {

Axes CommonPrefix(const Axes& a, const Axes& b) {
  Axes prefix;
  for (std::size_t i = 0; i < std::min(a.size(), b.size()) && a[i] == b[i]; ++i) {
    prefix.push_back(a[i]);
  }
  return prefix;
}

bool IsPrefix(const Axes& a, const Axes& b) { return CommonPrefix(a, b) == a; }

// First each dimension proposes axes; then axes that two dimensions propose go
// to one of them.
class BookRules {
 public:
  BookRules(const BinaryProduct& product, const Sharding* output, const Weight& weight)
      : product_(product), output_(output), weight_(weight) {}

  OperandShardings Run() {
    for (const std::string& dim : product_.Dims()) axes_[dim] = Proposal(dim);
    for (const std::string& dim : product_.Dims()) SettleConflicts(dim);
    return {ShardedBy(axes_, product_.left.sharding, Deferred(product_.left, product_.right)),
            ShardedBy(axes_, product_.right.sharding, Deferred(product_.right, product_.left))};
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
    for (auto& [other, axes] : axes_) {
      if (other == dim) continue;
      for (AxisId axis : Axes(axes)) {
        if (!Contains(axes_[dim], axis)) continue;
        std::erase(Keeps(dim, other, axis) ? axes : axes_[dim], axis);
      }
    }
  }

  // Sums that may stay outstanding: the output wants them (or is not written), and the other
  // operand does not use their axis.
  Axes Deferred(const ShardedArray& operand, const ShardedArray& other) const {
    Axes deferred;
    for (AxisId axis : operand.sharding.unreduced) {
      const bool wanted = output_ == nullptr || Contains(output_->unreduced, axis);
      const bool used = std::any_of(axes_.begin(), axes_.end(), [&](const auto& entry) {
        return Contains(entry.second, axis);
      });
      if (wanted && !used && !Contains(other.sharding.unreduced, axis)) deferred.push_back(axis);
    }
    return deferred;
  }

  const BinaryProduct& product_;
  const Sharding* output_;
  const Weight& weight_;
  AxesByDim axes_;
};

}  // namespace

OperandShardings BookShardings(const BinaryProduct& product, const Sharding* output,
                               const Weight& weight) {
  return BookRules(product, output, weight).Run();
}

ShardedArray NaturalOutput(const BinaryProduct& product, const std::string& name,
                           const Weight& weight) {
  const OperandShardings book = BookShardings(product, nullptr, weight);
  StatusOr<Sharding> local = LocalProduct(book.left, book.right, product.out);
  CHECK(local.ok()) << local.status();
  return {name, *std::move(local), std::nullopt};
}

}  // namespace meshstep::einsum
