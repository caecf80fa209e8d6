#include "strategies/einsum/notation/parser.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "strategies/einsum/notation/array_parser.h"
#include "strategies/einsum/notation/book_rules.h"
#include "strategies/einsum/notation/collective_call.h"
#include "strategies/einsum/notation/spelling.h"
#include "strategies/einsum/notation/token_stream.h"

namespace meshstep::einsum {
namespace {

using Kind = Token::Kind;
using Op = ReshardStep::Op;

constexpr int kMaxNesting = 32;

bool IsWith(const Token& token) {
  return token.kind == Kind::kName && (token.text == "with" || token.text == "where");
}

class Parser {
 public:
  Parser(std::vector<Token> tokens, const MeshShape& mesh) : tokens_(std::move(tokens)) {
    expression_.mesh = mesh;
  }

  StatusOr<Expression> Run() {
    while (true) {
      while (tokens_.Take(';') || tokens_.Take(Kind::kNewline)) {
      }
      if (tokens_.AtEnd()) break;
      RETURN_IF_ERROR(ParseStatement());
      if (expression_.statements.size() > kMaxStatements) {
        return InvalidInput("the expression has more than " + std::to_string(kMaxStatements) +
                            " statements; use fewer");
      }
      if (!tokens_.AtEnd() && !tokens_.IsSymbol(';') && tokens_.Peek().kind != Kind::kNewline) {
        return tokens_.IsName() || tokens_.IsSymbol('[')
                   ? InvalidInput("missing operator before \"" + tokens_.Peek().text.substr(0, 40) +
                                  "\" at character " + std::to_string(tokens_.Peek().position + 1) +
                                  ": write . or * between the factors of a product")
                   : tokens_.Expected("an operator, -> or the end");
      }
    }
    if (expression_.statements.empty()) {
      return InvalidInput("the expression is empty; write one as A[I_X,J] . B[J,K] -> C[I_X,K]");
    }
    return std::move(expression_);
  }

 private:
  ArrayParser Arrays() { return ArrayParser(&tokens_, &expression_); }
  const MeshShape& mesh() const { return expression_.mesh; }
  Status Check(const ShardedArray& array) const {
    return CheckSharding(array.name, array.sharding, mesh().Names());
  }

  Status ParseStatement() {
    if (AtMesh()) return ParseMeshStatement();
    const std::size_t first = expression_.statements.size();
    assigned_.reset();
    if (AtAssignment()) {
      ASSIGN_OR_RETURN(assigned_, Arrays().Parse());
      tokens_.Take('=');
      tokens_.SkipNewlines();
    }
    ASSIGN_OR_RETURN(Statement statement, ParseProduct(0));
    if (!assigned_ && TakeArrow()) {
      ASSIGN_OR_RETURN(assigned_, Arrays().Parse());
    }
    if (assigned_) RETURN_IF_ERROR(SetOutput(*assigned_, &statement));
    RETURN_IF_ERROR(ParseWith(&statement));
    RETURN_IF_ERROR(Complete(&statement));
    // A collective on its own was recorded when it was read; its output may just have been given.
    const bool recorded =
        statement.kind == Statement::Kind::kCollective && expression_.statements.size() > first;
    if (recorded) expression_.statements.pop_back();
    expression_.statements.push_back(std::move(statement));
    return absl::OkStatus();
  }

  bool TakeArrow() {
    const std::size_t start = tokens_.position();
    tokens_.SkipNewlines();
    if (tokens_.Take(Kind::kArrow)) {
      tokens_.SkipNewlines();
      return true;
    }
    tokens_.Rewind(start);
    return false;
  }

  bool AtMesh() const {
    if (tokens_.IsName() && Plain(tokens_.Peek().text) == "mesh" &&
        (tokens_.IsSymbol('(', 1) || tokens_.IsSymbol('{', 1))) {
      return true;
    }
    return tokens_.IsSymbol('{') && tokens_.IsName(1) && tokens_.IsSymbol(':', 2);
  }

  // Mesh(...) or {X:4,...}: the text up to the closing bracket goes to ParseMeshShape.
  Status ParseMeshStatement() {
    std::string text;
    int depth = 0;
    while (!tokens_.AtEnd() && !(depth == 0 && !text.empty() && tokens_.IsSymbol(';'))) {
      const Token& token = tokens_.Next();
      if (token.Is('(') || token.Is('{')) ++depth;
      if (token.Is(')') || token.Is('}')) --depth;
      text += token.kind == Kind::kSymbol || text.empty() || text.back() == '_' ? "" : " ";
      text += token.text;
      if (depth == 0 && (token.Is(')') || token.Is('}'))) break;
    }
    ASSIGN_OR_RETURN(expression_.mesh, ParseMeshShape(text));
    Statement statement;
    statement.kind = Statement::Kind::kMesh;
    expression_.statements.push_back(std::move(statement));
    return absl::OkStatus();
  }

  // "Q[...] = AllToAll(...)": an array followed by "=".
  bool AtAssignment() const {
    std::size_t i = 0;
    int depth = 0;
    for (; tokens_.Peek(i).kind != Kind::kEnd; ++i) {
      const Token& token = tokens_.Peek(i);
      if (token.Is('[') || token.Is('{')) ++depth;
      if (token.Is(']') || token.Is('}')) --depth;
      if (depth > 0) continue;
      if (token.Is('=')) return i > 0;
      if (token.Is(';') || token.Is('(') || token.kind == Kind::kArrow ||
          token.kind == Kind::kOperator || IsWith(token)) {
        return false;
      }
    }
    return false;
  }

  // Operands joined by operators. One operand gives kArray, or the collective it was.
  StatusOr<Statement> ParseProduct(int depth) {
    if (depth > kMaxNesting) {
      return InvalidInput("the expression is nested more than " + std::to_string(kMaxNesting) +
                          " deep; write it as several statements separated by ;");
    }
    Statement statement;
    ASSIGN_OR_RETURN(ShardedArray first, ParseOperand(depth, true, &statement));
    if (!TakeOperator()) {
      if (statement.kind == Statement::Kind::kArray) statement.inputs = {std::move(first)};
      return statement;
    }
    if (statement.kind == Statement::Kind::kProduct) {
      // (A . B) . C: the product in parentheses is the beginning of this chain.
      statement.output.reset();
    } else {
      statement = Statement();
      statement.inputs = {std::move(first)};
    }
    statement.kind = Statement::Kind::kProduct;
    do {
      ASSIGN_OR_RETURN(Contraction contraction, ParseContraction());
      Statement operand_statement;
      ASSIGN_OR_RETURN(ShardedArray operand, ParseOperand(depth, false, &operand_statement));
      if (operand_statement.kind == Statement::Kind::kProduct) {
        return InvalidInput(
            "a product stands in parentheses on the right of an operator; chains "
            "run left to right because of the nonlinearity between");
      }
      statement.contractions.push_back(std::move(contraction));
      statement.inputs.push_back(std::move(operand));
      if (statement.inputs.size() > kMaxOperands) {
        return InvalidInput("a product has more than " + std::to_string(kMaxOperands) +
                            " factors; use fewer");
      }
    } while (TakeOperator());
    return statement;
  }

  bool TakeOperator() {
    const std::size_t start = tokens_.position();
    tokens_.SkipNewlines();
    if (tokens_.Take(Kind::kOperator)) return true;
    tokens_.Rewind(start);
    return false;
  }

  // What follows an operator: "_D", "_{N,H}", "_LOCAL", or a bare "D" before the next array.
  StatusOr<Contraction> ParseContraction() {
    std::vector<std::string> dims;
    if (tokens_.Take('_')) {
      ASSIGN_OR_RETURN(dims, Arrays().ParseSubscript());
    } else if (tokens_.IsName() && tokens_.IsName(1) && !CollectiveOf(tokens_.Peek(1).text) &&
               !ParseDtypeSpelling(tokens_.Peek().text).ok()) {
      dims = {tokens_.Next().text};
    }
    tokens_.SkipNewlines();
    if (dims.empty() || Plain(dims[0]) == "local") return Contraction();
    return Contraction(std::move(dims));
  }

  // An array, a collective of one, or (for the first operand) a product in parentheses. `statement`
  // tells which; collectives are recorded as statements of their own and stand for their result.
  StatusOr<ShardedArray> ParseOperand(int depth, bool first, Statement* statement) {
    tokens_.SkipNewlines();
    if (tokens_.IsName() && CollectiveOf(tokens_.Peek().text)) {
      ASSIGN_OR_RETURN(*statement, ParseCall(depth, first));
      expression_.statements.push_back(*statement);
      return *statement->output;
    }
    if (tokens_.Take('(')) {
      ASSIGN_OR_RETURN(*statement, ParseProduct(depth + 1));
      tokens_.SkipNewlines();
      if (!tokens_.Take(')')) return tokens_.Expected(")");
      if (statement->kind == Statement::Kind::kArray) {
        ShardedArray array = statement->inputs[0];
        statement->inputs.clear();
        return array;
      }
      if (statement->kind == Statement::Kind::kProduct) {
        RETURN_IF_ERROR(Complete(statement));
      }
      return *statement->output;
    }
    return Arrays().Parse();
  }

  StatusOr<Statement> ParseCall(int depth, bool first) {
    Statement call;
    call.kind = Statement::Kind::kCollective;
    call.op = *CollectiveOf(tokens_.Next().text);
    if (tokens_.Take('_')) RETURN_IF_ERROR(ParseCallSubscript(&tokens_, Arrays(), &call));
    if (tokens_.Take(':')) tokens_.SkipNewlines();
    ASSIGN_OR_RETURN(ShardedArray input, ParseArgument(depth));
    ASSIGN_OR_RETURN(const std::vector<AxisId> unreduced, Arrays().ParseUnreduced());
    input.sharding.unreduced.insert(input.sharding.unreduced.end(), unreduced.begin(),
                                    unreduced.end());
    RETURN_IF_ERROR(Check(input));
    call.inputs = {std::move(input)};
    const ShardedArray* wanted = assigned_ ? &*assigned_ : nullptr;
    // An arrow after a later factor belongs to the product.
    const bool arrow = wanted == nullptr && first && depth == 0 && TakeArrow();
    if (arrow) {
      ASSIGN_OR_RETURN(const ShardedArray output, Arrays().Parse());
      RETURN_IF_ERROR(DeriveOutput(mesh(), &output, &call));
      RETURN_IF_ERROR(SetOutput(output, &call));
      return call;
    }
    RETURN_IF_ERROR(DeriveOutput(mesh(), wanted, &call));
    return call;
  }

  // The argument of a collective, in parentheses or not. A product becomes a statement of its own.
  StatusOr<ShardedArray> ParseArgument(int depth) {
    tokens_.SkipNewlines();
    if (!tokens_.Take('(')) return Arrays().Parse();
    ASSIGN_OR_RETURN(Statement inner, ParseProduct(depth + 1));
    tokens_.SkipNewlines();
    if (!tokens_.Take(')')) return tokens_.Expected(") after the argument of a collective");
    if (inner.kind == Statement::Kind::kArray) return inner.inputs[0];
    if (inner.kind == Statement::Kind::kProduct) {
      RETURN_IF_ERROR(Complete(&inner));
      expression_.statements.push_back(inner);
    }
    return *inner.output;
  }

  // The output a person wrote, for what has been read so far.
  Status SetOutput(const ShardedArray& output, Statement* statement) {
    using StatementKind = Statement::Kind;
    if (statement->kind == StatementKind::kArray) statement->kind = StatementKind::kReshard;
    if (statement->kind == StatementKind::kCollective &&
        !(statement->output->sharding == output.sharding)) {
      return InvalidInput(std::string(NameOf(statement->op)) + " of " +
                          ToString(statement->inputs[0], mesh()) + " gives " +
                          ToString(statement->output->sharding, mesh().Names()) + ", not " +
                          ToString(output, mesh()) + ": correct one of the two");
    }
    if (statement->kind == StatementKind::kReshard) {
      const StatusOr<std::vector<ReshardStep>> steps =
          Reshard(statement->inputs[0].sharding, output.sharding);
      if (!steps.ok()) return ReshardError(statement->inputs[0], output, steps.status());
    }
    statement->output = output;
    statement->output_written = true;
    return absl::OkStatus();
  }

  Status ReshardError(const ShardedArray& from, const ShardedArray& to,
                      const Status& status) const {
    for (AxisId axis : to.sharding.unreduced) {
      const std::vector<AxisId>& open = from.sharding.unreduced;
      if (std::find(open.begin(), open.end(), axis) == open.end()) return NothingPartial(to, axis);
    }
    return InvalidInput(from.name + " -> " + to.name + ": " + std::string(status.message()) +
                        "; write an operator between the factors of a product");
  }

  Status NothingPartial(const ShardedArray& output, AxisId axis) const {
    const std::string name = mesh().axes[static_cast<std::size_t>(axis)].name;
    return InvalidInput("nothing is partially summed over " + name + " in " + output.name +
                        ": {U_" + name + "} needs a contracting dimension sharded over " + name +
                        ", so drop it from the output");
  }

  // Fills in the output of a product and checks what was written against the inputs.
  Status Complete(Statement* statement) {
    if (statement->kind != Statement::Kind::kProduct) return absl::OkStatus();
    const Weight weight = [this](const ShardedArray& array) {
      return LocalElements(array.sharding, mesh(), expression_.sizes);
    };
    const bool written = statement->output_written;
    std::vector<AxisId> partial;
    ShardedArray left = statement->inputs[0];
    std::vector<std::string> notes;
    for (std::size_t i = 0; i + 1 < statement->inputs.size(); ++i) {
      const bool last = i + 2 == statement->inputs.size();
      const ShardedArray* output = written ? &*statement->output : nullptr;
      const ShardedArray& right = statement->inputs[i + 1];
      ASSIGN_OR_RETURN(const BinaryProduct product,
                       Resolve(left, right, statement->contractions[i],
                               {last ? output : nullptr, output}, &notes));
      CollectPartial(product, &partial);
      left = NaturalOutput(product, "?", weight);
      if (!last) left.sharding.unreduced.clear();  // a nonlinearity follows
    }
    if (!written) {
      statement->output = left;
      return absl::OkStatus();
    }
    for (AxisId axis : statement->output->sharding.unreduced) {
      if (std::find(partial.begin(), partial.end(), axis) == partial.end()) {
        return NothingPartial(*statement->output, axis);
      }
    }
    return absl::OkStatus();
  }

  // Axes over which some derivation of this product has partial sums.
  void CollectPartial(const BinaryProduct& product, std::vector<AxisId>* partial) const {
    for (const ShardedArray* operand : {&product.left, &product.right}) {
      const Sharding& sharding = operand->sharding;
      partial->insert(partial->end(), sharding.unreduced.begin(), sharding.unreduced.end());
      for (const std::string& dim : product.contracted) {
        const int d = sharding.Find(dim);
        if (d < 0) continue;
        const std::vector<AxisId>& axes = sharding.dims[static_cast<std::size_t>(d)].axes;
        partial->insert(partial->end(), axes.begin(), axes.end());
      }
    }
  }

  // "with B=10, D=4096", "with A[I_XY, J]" after a shape, "with int8[128, 2048]" after an array.
  Status ParseWith(Statement* statement) {
    if (!IsWith(tokens_.Peek())) return absl::OkStatus();
    tokens_.Next();
    if (tokens_.IsName() && (tokens_.IsSymbol('=', 1) || tokens_.IsSymbol(':', 1))) {
      return ParseAssignments();
    }
    if (statement->kind != Statement::Kind::kArray) {
      return tokens_.Expected("sizes as B=1024 after \"with\"");
    }
    ASSIGN_OR_RETURN(ShardedArray other, Arrays().Parse());
    ShardedArray& array = statement->inputs[0];
    if (array.name == "?") std::swap(array, other);
    if (array.sharding.dims.size() != other.sharding.dims.size()) {
      return InvalidInput("array " + array.name + " has " +
                          std::to_string(array.sharding.dims.size()) +
                          " dimensions and its shape " +
                          std::to_string(other.sharding.dims.size()) + "; give one size each");
    }
    for (std::size_t d = 0; d < array.sharding.dims.size(); ++d) {
      const double size = SizeOf(other.sharding.dims[d].name, expression_.sizes);
      if (!std::isnan(size)) expression_.sizes[array.sharding.dims[d].name] = size;
    }
    if (!array.dtype) array.dtype = other.dtype;
    return absl::OkStatus();
  }

  Status ParseAssignments() {
    std::string text;
    while (!tokens_.AtEnd() && !tokens_.IsSymbol(';') && tokens_.Peek().kind != Kind::kNewline) {
      const Token& token = tokens_.Next();
      text += token.kind == Kind::kOperator ? "*" : token.text;
    }
    ASSIGN_OR_RETURN(const auto sizes, ParseSizes(text));
    for (const auto& [dim, size] : sizes) {
      const auto [entry, added] = expression_.sizes.emplace(dim, size);
      if (!added && entry->second != size) {
        return InvalidInput("dim " + dim + " has two sizes; give it one");
      }
    }
    return absl::OkStatus();
  }

  TokenStream tokens_;
  Expression expression_;
  std::optional<ShardedArray> assigned_;  // the left side of the "=" of this statement
};

}  // namespace

StatusOr<Expression> ParseExpression(const std::string& text, const MeshShape& mesh) {
  ASSIGN_OR_RETURN(std::vector<Token> tokens, Tokenize(text));
  return Parser(std::move(tokens), mesh).Run();
}

}  // namespace meshstep::einsum
