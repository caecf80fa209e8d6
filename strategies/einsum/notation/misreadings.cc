#include "strategies/einsum/notation/misreadings.h"

#include <algorithm>
#include <cctype>
#include <utility>

namespace meshstep::einsum {
namespace {

class Misreadings {
 public:
  explicit Misreadings(const Expression& expression) : expression_(expression) {}

  std::vector<std::string> Run() {
    for (const Statement& statement : expression_.statements) {
      for (const ShardedArray& input : statement.inputs) Dims(input);
      if (statement.output_written) Dims(*statement.output);
      if (statement.kind == Statement::Kind::kProduct) Products(statement);
    }
    return std::move(warnings_);
  }

 private:
  void Add(std::string warning) {
    const bool known = std::find(warnings_.begin(), warnings_.end(), warning) != warnings_.end();
    if (!known) warnings_.push_back(std::move(warning));
  }

  bool HasSize(const std::string& dim) const { return expression_.sizes.count(dim) > 0; }

  // The axes that `text` ends with: "XY" of "IXY", "" if no capital letters come before them.
  std::string AxesAtEnd(const std::string& text) const {
    std::size_t begin = text.size();
    for (bool found = true; found;) {
      found = false;
      for (const MeshShape::Axis& axis : expression_.mesh.axes) {
        const std::size_t n = axis.name.size();
        if (n == 0 || n >= begin || text.compare(begin - n, n, axis.name) != 0) continue;
        begin -= n;
        found = true;
        break;
      }
    }
    const bool capitals = std::all_of(text.begin(), text.begin() + static_cast<long>(begin),
                                      [](unsigned char c) { return std::isupper(c) != 0; });
    return capitals ? text.substr(begin) : "";
  }

  void Dims(const ShardedArray& array) {
    const std::vector<ShardedDim>& dims = array.sharding.dims;
    for (std::size_t d = 0; d < dims.size(); ++d) {
      const std::string& name = dims[d].name;
      if (HasSize(name)) continue;
      const std::string text = ToString(array, expression_.mesh);
      if (expression_.mesh.Find(name) >= 0) {
        std::string meant;
        if (d > 0 && !dims[d - 1].axes.empty()) {
          const ShardedDim& before = dims[d - 1];
          std::string axes;
          for (AxisId axis : before.axes) {
            axes += expression_.mesh.axes[static_cast<std::size_t>(axis)].name;
          }
          meant = "; " + before.name + " sharded over " + axes + " and " + name + " is " +
                  before.name + "_" + axes + name;
        }
        Add(name + " in " + text + " is read as a dimension, not as the axis " + name +
            " of the mesh" + meant);
      } else if (const std::string axes = AxesAtEnd(name); !axes.empty()) {
        const std::string dim = name.substr(0, name.size() - axes.size());
        Add(name + " in " + text + " is read as one dimension; " + dim + " sharded over " + axes +
            " is " + dim + "_" + axes);
      }
    }
  }

  void Products(const Statement& statement) {
    if (statement.contractions.size() != 1) return;
    const ShardedArray &left = statement.inputs[0], &right = statement.inputs[1];
    std::vector<std::string> notes;
    const StatusOr<BinaryProduct> product =
        Resolve(left, right, statement.contractions[0],
                {statement.output_written ? &*statement.output : nullptr, nullptr}, &notes);
    if (!product.ok()) return;
    if (statement.output_written) {
      LoneSums(*product);
    } else if (!statement.contractions[0] && product->contracted.size() > 1) {
      Batch(*product);
    }
  }

  // Dimensions that one factor alone has and the output has not.
  void LoneSums(const BinaryProduct& product) {
    std::vector<std::string> in_left, in_right;
    for (const std::string& dim : product.contracted) {
      const bool left = product.left.sharding.Find(dim) >= 0;
      const bool right = product.right.sharding.Find(dim) >= 0;
      if (left && right) return;
      if (!HasSize(dim)) (left ? in_left : in_right).push_back(dim);
    }
    if (in_left.size() == 1 && in_right.size() == 1) {
      Add(in_left[0] + " is in " + product.left.name + " only and " + in_right[0] + " in " +
          product.right.name +
          " only, so each is summed on its own and nothing is contracted; "
          "write one letter in both for a matrix product");
      return;
    }
    for (const std::vector<std::string>* lone : {&in_left, &in_right}) {
      for (const std::string& dim : *lone) {
        Add(dim + " is in " + (lone == &in_left ? product.left.name : product.right.name) +
            " only and not in the output, so it is summed on its own; is it meant to be a "
            "dimension of the other factor or of the output?");
      }
    }
  }

  void Batch(const BinaryProduct& product) {
    const std::string& first = product.contracted.front();
    std::string all;
    for (const std::string& dim : product.contracted) all += (all.empty() ? "" : ", ") + dim;
    Add("without an output " + all + " of " + product.left.name + " and " + product.right.name +
        " are all contracted; if " + first + " is a batch dimension, write an output that has it");
  }

  const Expression& expression_;
  std::vector<std::string> warnings_;
};

}  // namespace

std::vector<std::string> LikelyMisreadings(const Expression& expression) {
  return Misreadings(expression).Run();
}

}  // namespace meshstep::einsum
