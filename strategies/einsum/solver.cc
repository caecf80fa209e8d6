#include "strategies/einsum/solver.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <set>
#include <tuple>
#include <utility>

#include "sim/base/check.h"
#include "strategies/einsum/answer.h"
#include "strategies/einsum/notation/misreadings.h"
#include "strategies/einsum/operand_shardings.h"
#include "strategies/einsum/step_cost.h"

namespace meshstep::einsum {
namespace {

using StatementKind = Statement::Kind;

// A derivation as far as it has been made.
struct Partial {
  std::vector<Step> steps;
  ShardedArray left;  // the result so far of the chain that is being planned
  bool book = true;
};

double Max(double a, double b) { return std::isnan(a) || std::isnan(b) ? a + b : std::max(a, b); }

std::string Word(std::size_t count, const std::string& noun) {
  return std::to_string(count) + " " + noun + (count == 1 ? "" : "s");
}

class Solver {
 public:
  Solver(const Expression& expression, const SolveOptions& options)
      : expression_(expression), options_(options), cost_(expression, options) {
    std::size_t products = 0;
    for (const Statement& s : expression.statements) products += s.contractions.size();
    // The work is bounded by operand shardings x derivations that are kept, whatever the
    // expression.
    max_shardings_ = std::max<std::size_t>(8, 512 / std::max<std::size_t>(1, products));
    max_kept_ = std::max<std::size_t>(4, 128 / std::max<std::size_t>(1, products));
    weight_ = [this](const ShardedArray& array) { return cost_.LocalBytes(array); };
  }

  StatusOr<Answer> Run() {
    answer_.missing = MissingSizes(expression_);
    answer_.warnings = LikelyMisreadings(expression_);
    RETURN_IF_ERROR(CheckSizes(expression_, options_.pad, &answer_.notes));
    std::vector<Partial> partials(1);
    for (std::size_t s = 0; s < expression_.statements.size(); ++s) {
      statement_ = s;
      RETURN_IF_ERROR(Continue(expression_.statements[s], &partials));
    }
    RETURN_IF_ERROR(Finish(std::move(partials)));
    return std::move(answer_);
  }

 private:
  const MeshShape& mesh() const { return expression_.mesh; }
  bool symbolic() const { return !answer_.missing.empty(); }

  Status Continue(const Statement& statement, std::vector<Partial>* partials) {
    switch (statement.kind) {
      case StatementKind::kMesh:
        return absl::OkStatus();
      case StatementKind::kArray:
        return Remember(statement.inputs[0], true);
      case StatementKind::kCollective:
        return Collective(statement, partials);
      case StatementKind::kReshard:
        return ReshardStatement(statement, partials);
      case StatementKind::kProduct:
        return Product(statement, partials);
    }
    return absl::OkStatus();
  }

  // Notes an array for the list of memory, and what it was last, by name.
  Status Remember(const ShardedArray& array, bool is_input) {
    const auto known = last_.find(array.name);
    if (is_input && known != last_.end() && array.name != "?") return absl::OkStatus();
    last_[array.name] = array;
    arrays_.push_back(array);
    return absl::OkStatus();
  }

  // An input as the steps so far left it: a result that an earlier statement gave another sharding
  // is first brought to the one written here.
  Status TakeInput(const ShardedArray& input, std::vector<Partial>* partials) {
    const auto known = last_.find(input.name);
    const bool same = known == last_.end() || input.name == "?" ||
                      known->second.sharding == input.sharding || produced_.count(input.name) == 0;
    RETURN_IF_ERROR(Remember(input, true));
    if (same) return absl::OkStatus();
    const StatusOr<std::vector<Step>> steps = cost_.Cheapest(known->second, input.sharding);
    if (!steps.ok()) {
      return InvalidInput(input.name + " is " + ToString(known->second, mesh()) +
                          " in one statement and " + ToString(input, mesh()) +
                          " in a later one: " + std::string(steps.status().message()));
    }
    for (Partial& partial : *partials) Append(*steps, true, &partial);
    known->second = input;
    return absl::OkStatus();
  }

  void Produce(const ShardedArray& output) {
    last_.erase(output.name);
    (void)Remember(output, false);
    produced_.insert(output.name);
    answer_.result = ToString(output, mesh());
  }

  void Append(std::vector<Step> steps, bool before, Partial* partial) const {
    for (Step& step : steps) {
      // What only involves axes of one chip is not a step.
      if (!step.is_product && step.axes.empty()) continue;
      step.statement = statement_;
      step.before_product = before && !step.is_product;
      partial->steps.push_back(std::move(step));
    }
  }

  Status Collective(const Statement& statement, std::vector<Partial>* partials) {
    const ShardedArray& input = statement.inputs[0];
    RETURN_IF_ERROR(TakeInput(input, partials));
    const ReshardStep reshard{statement.op, statement.axes, statement.from,
                              statement.to, input.sharding, statement.output->sharding};
    for (Partial& partial : *partials) Append({cost_.Move(input, reshard)}, false, &partial);
    Produce(*statement.output);
    return absl::OkStatus();
  }

  Status ReshardStatement(const Statement& statement, std::vector<Partial>* partials) {
    const ShardedArray& input = statement.inputs[0];
    RETURN_IF_ERROR(TakeInput(input, partials));
    ASSIGN_OR_RETURN(const auto ways, cost_.Ways(input, statement.output->sharding));
    std::vector<Partial> next;
    for (const Partial& partial : *partials) {
      for (std::size_t w = 0; w < ways.size(); ++w) {
        Partial with = partial;
        with.book = partial.book && w == 0;
        Append(ways[w], false, &with);
        next.push_back(std::move(with));
      }
    }
    *partials = Best(std::move(next));
    Produce(*statement.output);
    return absl::OkStatus();
  }

  Status Product(const Statement& statement, std::vector<Partial>* partials) {
    for (const ShardedArray& input : statement.inputs) RETURN_IF_ERROR(TakeInput(input, partials));
    for (Partial& partial : *partials) partial.left = statement.inputs[0];
    const std::size_t count = statement.contractions.size();
    for (std::size_t i = 0; i < count; ++i) {
      const bool last = i + 1 == count;
      std::vector<Partial> next;
      for (const Partial& partial : *partials) {
        const ShardedArray* output = statement.output_written ? &*statement.output : nullptr;
        std::vector<std::string> notes;
        ASSIGN_OR_RETURN(const BinaryProduct product,
                         Resolve(partial.left, statement.inputs[i + 1], statement.contractions[i],
                                 {last ? &*statement.output : nullptr, output}, &notes));
        for (const std::string& note : notes) AddNote(note);
        if (&partial == &partials->front()) {
          answer_.flops_theoretical += TheoreticalFlops(product, expression_.sizes);
        }
        if (last) {
          RETURN_IF_ERROR(LastProduct(partial, product, *statement.output, &next));
        } else {
          const ShardedArray& after = statement.inputs[i + 2];
          RETURN_IF_ERROR(InnerProduct(partial, product, after, i, &next));
        }
      }
      *partials = Best(std::move(next));
    }
    Produce(*statement.output);
    return absl::OkStatus();
  }

  struct Candidate {
    OperandShardings shardings;
    bool book;
  };

  // The operand shardings of the book's rules first, if they can give the sums that the output
  // wants, then all others.
  std::vector<Candidate> Candidates(const BinaryProduct& product, const Sharding* output) {
    std::vector<Candidate> candidates;
    const OperandShardings book = BookShardings(product, output, weight_);
    const StatusOr<Sharding> local = LocalProduct(book.left, book.right, product.out);
    CHECK(local.ok()) << local.status();
    const bool reaches = output == nullptr || Reshard(*local, *output).ok();
    if (reaches) candidates.push_back({book, true});
    bool truncated = false;
    for (OperandShardings& shardings : AllShardings(product, output, max_shardings_, &truncated)) {
      candidates.push_back({std::move(shardings), false});
    }
    if (truncated) {
      AddNote("more than " + std::to_string(max_shardings_) +
              " ways to place the axes of a product; the first " + std::to_string(max_shardings_) +
              " and the book's were compared");
    }
    return candidates;
  }

  // `partial` with the operands brought to its shardings and multiplied.
  StatusOr<Partial> Multiply(const Partial& partial, const BinaryProduct& product,
                             const Candidate& candidate, const ShardedArray& output) {
    Partial next = partial;
    next.book = partial.book && candidate.book;
    BinaryProduct local = product;
    auto bring = [&](ShardedArray* operand, const Sharding& to) -> Status {
      StatusOr<std::vector<Step>> steps =
          candidate.book ? cost_.Direct(*operand, to) : cost_.Cheapest(*operand, to);
      RETURN_IF_ERROR(steps.status());
      Append(*std::move(steps), true, &next);
      operand->sharding = to;
      return absl::OkStatus();
    };
    RETURN_IF_ERROR(bring(&local.left, candidate.shardings.left));
    RETURN_IF_ERROR(bring(&local.right, candidate.shardings.right));
    ASSIGN_OR_RETURN(Sharding result, LocalProduct(candidate.shardings.left,
                                                   candidate.shardings.right, product.out));
    next.left = {output.name, std::move(result), output.dtype};
    Append({cost_.Product(local, next.left)}, false, &next);
    return next;
  }

  Status LastProduct(const Partial& partial, const BinaryProduct& product,
                     const ShardedArray& output, std::vector<Partial>* next) {
    for (const Candidate& candidate : Candidates(product, &output.sharding)) {
      ASSIGN_OR_RETURN(Partial with, Multiply(partial, product, candidate, output));
      StatusOr<std::vector<Step>> steps = candidate.book
                                              ? cost_.Direct(with.left, output.sharding)
                                              : cost_.Cheapest(with.left, output.sharding);
      if (!steps.ok()) continue;  // sums that the output does not want cannot be undone
      Append(*std::move(steps), false, &with);
      next->push_back(std::move(with));
    }
    if (!next->empty()) return absl::OkStatus();
    return InvalidInput(
        "no plan gives " + ToString(output, mesh()) + " from " + ToString(product.left, mesh()) +
        " . " + ToString(product.right, mesh()) +
        ": ask for an output whose {U} axes are sharded on a contracting dimension");
  }

  // A result inside a chain is reduced: over each axis onto a dimension that the next factor has on
  // that axis, or onto any one dimension, or not scattered at all.
  Status InnerProduct(const Partial& partial, const BinaryProduct& product,
                      const ShardedArray& after, std::size_t index, std::vector<Partial>* next) {
    const ShardedArray output{
        "Tmp" + (index == 0 ? "" : std::to_string(index + 1)), {}, std::nullopt};
    for (const Candidate& candidate : Candidates(product, nullptr)) {
      ASSIGN_OR_RETURN(const Partial with, Multiply(partial, product, candidate, output));
      bool first = true;
      for (const Sharding& reduced : Reduced(with.left.sharding, after.sharding)) {
        ASSIGN_OR_RETURN(std::vector<Step> steps, cost_.Direct(with.left, reduced));
        Partial done = with;
        done.book = with.book && first;
        first = false;
        Append(std::move(steps), false, &done);
        done.left.sharding = reduced;
        next->push_back(std::move(done));
      }
    }
    return absl::OkStatus();
  }

  static std::vector<Sharding> Reduced(const Sharding& sum, const Sharding& after) {
    std::vector<Sharding> choices;
    auto add = [&](Sharding sharding) {
      sharding.unreduced.clear();
      if (std::find(choices.begin(), choices.end(), sharding) == choices.end()) {
        choices.push_back(std::move(sharding));
      }
    };
    Sharding wanted = sum;
    for (AxisId axis : sum.unreduced) {
      for (ShardedDim& dim : wanted.dims) {
        const int d = after.Find(dim.name);
        if (d < 0) continue;
        const std::vector<AxisId>& axes = after.dims[static_cast<std::size_t>(d)].axes;
        if (std::find(axes.begin(), axes.end(), axis) != axes.end()) dim.axes.push_back(axis);
      }
    }
    add(wanted);
    add(sum);
    for (std::size_t d = 0; d < sum.dims.size(); ++d) {
      Sharding scattered = sum;
      std::vector<AxisId>& axes = scattered.dims[d].axes;
      axes.insert(axes.end(), sum.unreduced.begin(), sum.unreduced.end());
      add(scattered);
    }
    return choices;
  }

  void AddNote(const std::string& note) {
    const auto& notes = answer_.notes;
    if (std::find(notes.begin(), notes.end(), note) == notes.end()) answer_.notes.push_back(note);
  }

  // Totals of a derivation from its steps.
  Derivation Total(const Partial& partial) const {
    Derivation derivation;
    derivation.steps = partial.steps;
    derivation.book = partial.book;
    const double hbm = options_.hardware ? options_.hardware->hbm_rate.value() : 0;
    double waiting = 0;
    for (const Step& step : partial.steps) {
      derivation.name += (derivation.name.empty() ? "" : "; ") + NameOf(step, mesh());
      (step.is_product ? derivation.compute_s : derivation.communication_s) += step.seconds;
      derivation.flops_per_chip += step.flops;
      if (hbm > 0) derivation.hbm_s += step.hbm_bytes / hbm;
      waiting += step.latency_s;
    }
    const double chip = Max(derivation.compute_s, derivation.hbm_s);
    derivation.overlapped_s = Max(chip, derivation.communication_s);
    derivation.sequential_s = chip + derivation.communication_s;
    if (!options_.hardware) derivation.overlapped_s = derivation.sequential_s = std::nan("");
    derivation.bound = Bound(derivation, waiting);
    derivation.peak_bytes = PeakBytes(derivation);
    return derivation;
  }

  static std::string Bound(const Derivation& derivation, double waiting) {
    if (std::isnan(derivation.overlapped_s)) return "";
    if (derivation.compute_s >= derivation.overlapped_s) return "compute";
    if (derivation.communication_s < derivation.overlapped_s) return "memory";
    return 2 * waiting > derivation.communication_s ? "latency" : "communication";
  }

  // Inputs stay; each array that a step makes replaces the one it was made from, except an input.
  double PeakBytes(const Derivation& derivation) const {
    double inputs = 0, peak = 0;
    std::map<std::string, double> temporaries;
    for (const ShardedArray& array : arrays_) {
      if (produced_.count(array.name) == 0) inputs += cost_.LocalBytes(array);
    }
    auto total = [&] {
      double sum = inputs;
      for (const auto& [name, bytes] : temporaries) sum += bytes;
      return sum;
    };
    for (const Step& step : derivation.steps) {
      const Sharding& after = step.is_product ? step.result : step.reshard.after;
      const double bytes = cost_.LocalBytes({step.array, after, DtypeOfName(step.array)});
      peak = Max(peak, total() + bytes);
      temporaries[step.array] = bytes;
    }
    return Max(peak, total());
  }

  std::optional<Dtype> DtypeOfName(const std::string& name) const {
    const auto found = last_.find(name);
    return found == last_.end() ? std::nullopt : found->second.dtype;
  }

  // Order of derivations: time, then the book's, then fewer steps, then the name.
  auto Key(const Derivation& derivation) const {
    double first = options_.sequential ? derivation.sequential_s : derivation.overlapped_s;
    double second = options_.sequential ? derivation.overlapped_s : derivation.sequential_s;
    if (symbolic()) {
      first = second = 0;
    } else if (std::isnan(first)) {
      // Without rates: the bytes that are sent, then the FLOPs.
      first = 0;
      for (const Step& step : derivation.steps) first += step.sent;
      second = derivation.flops_per_chip;
    }
    return std::make_tuple(first, second, !derivation.book, derivation.steps.size(),
                           derivation.name);
  }

  // The best of the partial ones, each once, and always the book's.
  std::vector<Partial> Best(std::vector<Partial> partials) const {
    std::vector<std::pair<Derivation, std::size_t>> totals;
    for (std::size_t i = 0; i < partials.size(); ++i) totals.emplace_back(Total(partials[i]), i);
    std::stable_sort(totals.begin(), totals.end(),
                     [this](const auto& a, const auto& b) { return Key(a.first) < Key(b.first); });
    std::vector<Partial> best;
    std::set<std::string> seen;
    for (const auto& [total, i] : totals) {
      const std::string state =
          total.name + "|" + Placed(partials[i].left.sharding) + "|" + Signature(partials[i]);
      if (!seen.insert(state).second) continue;
      if (best.size() < max_kept_ || partials[i].book) best.push_back(std::move(partials[i]));
    }
    return best;
  }

  // A sharding without axes of size 1, which place nothing.
  std::string Placed(Sharding sharding) const {
    auto is_one = [this](AxisId a) { return mesh().axes[static_cast<std::size_t>(a)].size == 1; };
    for (ShardedDim& dim : sharding.dims) std::erase_if(dim.axes, is_one);
    std::erase_if(sharding.unreduced, is_one);
    return ToString(sharding, mesh().Names());
  }

  std::string Signature(const Partial& partial) const {
    std::string text;
    for (const Step& step : partial.steps) {
      text += Placed(step.is_product ? step.result : step.reshard.after) + ";";
    }
    return text;
  }

  Status Finish(std::vector<Partial> partials) {
    for (const Partial& partial : Best(std::move(partials))) {
      answer_.derivations.push_back(Total(partial));
    }
    answer_.derivations_found = answer_.derivations.size();
    const Derivation book = answer_.BookDerivation();
    if (answer_.derivations.size() > options_.max_derivations) {
      answer_.derivations.resize(options_.max_derivations);
      AddNote(Word(answer_.derivations_found, "plan") + " found; the best " +
              std::to_string(options_.max_derivations) + " are listed");
    }
    if (symbolic()) AddNote("without sizes the plans cannot be compared; the book's comes first");
    answer_.flops_per_chip = book.flops_per_chip;
    answer_.flops_executed = book.flops_per_chip * mesh().Chips();
    answer_.replication = answer_.flops_theoretical > 0
                              ? answer_.flops_executed / answer_.flops_theoretical
                              : ReplicationOf(book, mesh());
    if (!symbolic() && !std::isfinite(answer_.flops_executed)) {
      return InvalidInput(
          "the dimensions are so large that the FLOPs are not a number of a double; "
          "make them smaller");
    }
    for (const ShardedArray& array : arrays_) answer_.memory.push_back(cost_.MemoryOf(array));
    for (const Statement& s : expression_.statements) {
      if (s.kind == StatementKind::kArray) answer_.result = ToString(s.inputs[0], mesh());
    }
    NoteHardware();
    return absl::OkStatus();
  }

  void NoteHardware() {
    if (!options_.hardware || answer_.derivations.empty()) return;
    if (options_.hardware->is_switch() || options_.model == CostModel::kChip) {
      answer_.placement = PlacementOf(*options_.hardware, mesh(), options_.order);
      for (const std::string& note :
           PlacementNotes(*options_.hardware, mesh(), options_.order, AxesOfCollectives())) {
        AddNote(note);
      }
    }
    for (const Step& step : answer_.derivations[0].steps) {
      if (step.is_product && options_.hardware->peak(step.dtype).value() <= 0) {
        AddNote(options_.hardware->name + " has no peak rate for " +
                std::string(meshstep::NameOf(step.dtype)) + ", so compute times are not known");
      }
    }
    const double capacity = options_.hardware->hbm.value();
    if (capacity > 0 && answer_.derivations[0].peak_bytes > capacity) {
      AddNote("the best plan needs more than the HBM of a chip");
    }
  }

  // The axes that the best derivation communicates over.
  std::set<AxisId> AxesOfCollectives() const {
    std::set<AxisId> axes;
    for (const Step& step : answer_.derivations[0].steps) {
      if (!step.is_product && step.volume > 0) axes.insert(step.axes.begin(), step.axes.end());
    }
    return axes;
  }

  const Expression& expression_;
  const SolveOptions& options_;
  StepCost cost_;
  std::size_t max_shardings_, max_kept_;
  Weight weight_;
  std::size_t statement_ = 0;
  std::map<std::string, ShardedArray> last_;  // each array as it is now
  std::set<std::string> produced_;            // names that are results
  std::vector<ShardedArray> arrays_;          // in order of appearance
  Answer answer_;
};

}  // namespace

StatusOr<Answer> Solve(const Expression& expression, const SolveOptions& options) {
  return Solver(expression, options).Run();
}

}  // namespace meshstep::einsum
