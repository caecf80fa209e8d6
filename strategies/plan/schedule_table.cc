#include "strategies/plan/schedule_table.h"

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"

namespace meshstep {
namespace {

using Kind = Action::Kind;

constexpr int kMaxParts = 1 << 14, kMaxProblems = 20;

class TableSchedule : public Schedule {
 public:
  TableSchedule(std::vector<std::vector<Action>> actions, std::vector<std::vector<int>> parts)
      : actions_(std::move(actions)), parts_(std::move(parts)) {
    for (std::size_t s = 0; s < parts_.size(); ++s) {
      for (std::size_t c = 0; c < parts_[s].size(); ++c) {
        places_[parts_[s][c]] = {static_cast<int>(s), static_cast<int>(c)};
      }
    }
  }

  std::vector<Action> Actions(int stage, const Pipeline&) const override {
    return actions_[static_cast<std::size_t>(stage)];
  }
  int Parts(const Pipeline&) const override { return static_cast<int>(places_.size()); }
  int Chunks(int stage, const Pipeline&) const override {
    return static_cast<int>(parts_[static_cast<std::size_t>(stage)].size());
  }
  int PartOf(ChunkPlace place, const Pipeline&) const override {
    return parts_[static_cast<std::size_t>(place.stage)][static_cast<std::size_t>(place.chunk)];
  }
  ChunkPlace PlaceOf(int part, std::int64_t, const Pipeline&) const override {
    return places_.at(part);
  }

 private:
  const std::vector<std::vector<Action>> actions_;  // per stage
  const std::vector<std::vector<int>> parts_;       // per stage and chunk
  std::map<int, ChunkPlace> places_;                // per part
};

struct Cell {
  int part = 0;
  std::int64_t micro_batch = 0;
  Kind kind = Kind::kForward;
  bool follows = false;  // from the plan: not an action
};

// What may be an action with a slip. Anything else is not repeated: it may be of another file.
std::string Quoted(const std::string& cell) {
  const bool action = cell.size() <= 12 && absl::ascii_isdigit(cell.front()) &&
                      std::all_of(cell.begin(), cell.end(), absl::ascii_isalnum);
  return action ? absl::StrCat(" is \"", cell, "\"") : " is no action";
}

class Parser {
 public:
  Parser(const std::string& name, int stages, std::int64_t micro_batches)
      : name_(name), stages_(stages), micro_batches_(micro_batches) {}
  StatusOr<std::shared_ptr<const Schedule>> Parse(const std::string& content);

 private:
  void Problem(int line, const std::string& text) {
    if (problems_.size() < kMaxProblems) {
      problems_.push_back(absl::StrCat(name_, line > 0 ? absl::StrCat(":", line) : "", ": ", text));
    }
  }
  bool ReadCell(const std::string& text, Cell* cell) const;
  void ReadLine(int line, const std::string& text);
  void CheckComplete();
  std::shared_ptr<const Schedule> Make();

  const std::string& name_;
  const int stages_;
  const std::int64_t micro_batches_;
  bool is_table_ = false;  // a cell of the first line that has any is an action
  std::vector<std::string> problems_;
  std::vector<std::vector<Cell>> rows_;
  std::map<int, int> row_of_;                                          // per part
  std::map<std::pair<int, std::int64_t>, std::vector<Kind>> actions_;  // in order
};

bool Parser::ReadCell(const std::string& text, Cell* cell) const {
  const std::size_t letters = text.find_first_not_of("0123456789");
  if (letters == 0 || letters == std::string::npos) return false;
  const std::size_t digits = text.find_first_of("0123456789", letters);
  const std::string kind = text.substr(letters, digits - letters);
  constexpr std::array kFollow = {"SEND_F",  "RECV_F",  "SEND_B",     "RECV_B",
                                  "UNSHARD", "RESHARD", "REDUCE_GRAD"};
  cell->follows = std::find(kFollow.begin(), kFollow.end(), kind) != kFollow.end();
  if (!absl::SimpleAtoi(text.substr(0, letters), &cell->part)) return false;
  if (cell->follows) return true;
  if (kind != "F" && kind != "B" && kind != "I" && kind != "W") return false;
  cell->kind = kind == "F"   ? Kind::kForward
               : kind == "B" ? Kind::kBackward
               : kind == "I" ? Kind::kBackwardInput
                             : Kind::kBackwardWeight;
  return digits != std::string::npos && absl::SimpleAtoi(text.substr(digits), &cell->micro_batch);
}

void Parser::ReadLine(int line, const std::string& text) {
  std::vector<Cell>& row = rows_.emplace_back();
  int column = 0;
  for (const auto piece : absl::StrSplit(text, ',')) {
    ++column;
    const std::string trimmed(absl::StripAsciiWhitespace(piece));
    if (trimmed.empty()) continue;
    Cell cell;
    if (!ReadCell(trimmed, &cell)) {
      Problem(line, absl::StrCat("cell ", column, Quoted(trimmed),
                                 ", expected <part><F|B|I|W><micro-batch> such as 0F3"));
      continue;
    }
    is_table_ = true;
    if (cell.follows) continue;
    if (cell.micro_batch >= micro_batches_ || cell.part >= kMaxParts) {
      Problem(line, absl::StrCat("cell ", column, Quoted(trimmed), ", but the plan has ",
                                 micro_batches_, " micro-batches, counted from 0"));
      continue;
    }
    const int stage = static_cast<int>(rows_.size()) - 1;
    const auto [it, added] = row_of_.emplace(cell.part, stage);
    if (!added && it->second != stage) {
      Problem(line, absl::StrCat("part ", cell.part, " is on stage ", it->second,
                                 " already, expected each part on one stage"));
      continue;
    }
    row.push_back(cell);
    actions_[{cell.part, cell.micro_batch}].push_back(cell.kind);
  }
}

void Parser::CheckComplete() {
  if (static_cast<int>(rows_.size()) != stages_) {
    Problem(0, absl::StrCat("has ", rows_.size(), " lines, expected one for each of the ", stages_,
                            " stages"));
    return;
  }
  for (std::size_t stage = 0; stage < rows_.size() && !row_of_.empty(); ++stage) {
    if (!rows_[stage].empty()) continue;
    Problem(static_cast<int>(stage) + 1,
            absl::StrCat("stage ", stage, " has no action, expected a part on every stage"));
  }
  const int parts = static_cast<int>(row_of_.size());
  if (parts == 0) Problem(0, "has no action, expected a forward of every part and micro-batch");
  for (int part = 0; part < parts; ++part) {
    if (!row_of_.contains(part)) {
      Problem(0, absl::StrCat("has no part ", part, ", expected parts 0 to ", parts - 1));
      return;
    }
    for (std::int64_t i = 0; i < micro_batches_; ++i) {
      const std::vector<Kind>& kinds = actions_[{part, i}];
      const std::vector<Kind> whole = {Kind::kForward, Kind::kBackward};
      const std::vector<Kind> split = {Kind::kForward, Kind::kBackwardInput, Kind::kBackwardWeight};
      const std::vector<Kind> older = {Kind::kForward, Kind::kBackward, Kind::kBackwardWeight};
      if (kinds == whole || kinds == split || kinds == older) continue;
      Problem(row_of_[part] + 1,
              absl::StrCat("micro-batch ", i, " of part ", part, " has ", kinds.size(),
                           " actions, expected F, then B, or F, then I, then W"));
    }
  }
}

std::shared_ptr<const Schedule> Parser::Make() {
  std::vector<std::vector<int>> parts(rows_.size());
  for (const auto& [part, stage] : row_of_) parts[static_cast<std::size_t>(stage)].push_back(part);
  std::vector<std::vector<Action>> actions(rows_.size());
  for (std::size_t s = 0; s < rows_.size(); ++s) {
    for (const Cell& cell : rows_[s]) {
      const auto chunk = std::find(parts[s].begin(), parts[s].end(), cell.part) - parts[s].begin();
      const bool split = actions_[{cell.part, cell.micro_batch}].size() == 3;
      const Kind kind = cell.kind == Kind::kBackward && split ? Kind::kBackwardInput : cell.kind;
      actions[s].push_back({kind, static_cast<std::int32_t>(chunk), cell.micro_batch});
    }
  }
  return std::make_shared<TableSchedule>(std::move(actions), std::move(parts));
}

StatusOr<std::shared_ptr<const Schedule>> Parser::Parse(const std::string& content) {
  std::vector<std::string> lines = absl::StrSplit(content, '\n');
  while (!lines.empty() && absl::StripAsciiWhitespace(lines.back()).empty()) lines.pop_back();
  for (std::size_t i = 0; i < lines.size(); ++i) {
    ReadLine(static_cast<int>(i) + 1, lines[i]);
    if (problems_.empty() || is_table_) continue;
    return InvalidInput(absl::StrCat(name_, ": is not a schedule table; expected a line per stage ",
                                     "of actions such as 0F0,0F1,0B0"));
  }
  if (problems_.empty()) CheckComplete();
  if (!problems_.empty()) return InvalidInput(absl::StrJoin(problems_, "\n"));
  return Make();
}

}  // namespace

StatusOr<std::shared_ptr<const Schedule>> ParseScheduleTable(const std::string& name,
                                                             const std::string& content, int stages,
                                                             std::int64_t micro_batches) {
  return Parser(name, stages, micro_batches).Parse(content);
}

}  // namespace meshstep
