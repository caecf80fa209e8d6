#include "sim/calibration/nccl_log.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <set>
#include <string_view>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "sim/calibration/log_line.h"

namespace meshstep {
namespace {

constexpr int kMostRanks = 1 << 17;
constexpr double kMostBytes = 1e15, kMostMicroseconds = 1e9;
// Bandwidths are printed with two decimals; above 10 GB/s their ratio holds to this part.
constexpr double kTellingBandwidth = 10, kRatioTolerance = 0.02;

struct Test {
  const char* name;
  Collective collective;
  bool reduces;
};
constexpr Test kTests[] = {{"all_reduce_perf", Collective::kAllReduce, true},
                           {"all_gather_perf", Collective::kAllGather, false},
                           {"reduce_scatter_perf", Collective::kReduceScatter, true},
                           {"alltoall_perf", Collective::kAllToAll, false}};
// nccl-tests, src/common.cu: test_typenames and test_opnames.
constexpr const char* kTypes[] = {"int8",   "uint8",  "int32",    "uint32",  "int64",
                                  "uint64", "half",   "float",    "double",  "bfloat16",
                                  "f8e4m3", "f8e5m2", "fp8_e4m3", "fp8_e5m2"};
constexpr const char* kReductions[] = {"sum", "prod", "max", "min", "avg", "mulsum"};

std::string TestNames() {
  return absl::StrJoin(kTests, ", ",
                       [](std::string* out, const Test& test) { out->append(test.name); });
}

// What holds for all runs of a file.
struct Given {
  std::string name;
  int ranks = 0;
  std::optional<Collective> kind;
};

// Reads one run.
class LogReader {
 public:
  LogReader(const Given& given, const std::set<const Test*>& mentioned)
      : name_(given.name), given_(given), mentioned_(mentioned) {}

  // True if a line begins another run.
  bool Begins(const std::vector<std::string>& words) const;
  Status ReadLine(int line, const std::vector<std::string>& words);
  StatusOr<NcclLog> Finish();

 private:
  Status Error(const std::string& problem) const {
    return InvalidInput(absl::StrCat(name_, ":", line_, ": ", problem));
  }
  Status ReadComment(const std::vector<std::string>& words);
  Status ReadRow(const std::vector<std::string>& words);
  // A number of the row at the column, counted from the header.
  StatusOr<double> Number(const std::vector<std::string>& words, std::size_t column,
                          const char* what, double most) const;
  Status ReadDevice(const std::vector<std::string>& words);
  Status CheckKinds(const Test& test) const;
  StatusOr<const Test*> FindTest() const;
  StatusOr<int> FindRanks() const;
  Status CheckBusBandwidths(const Test& test, int ranks) const;

  struct Row {
    int line = 0;
    double bytes = 0, seconds = 0, algorithm_bandwidth = 0, bus_bandwidth = 0;
    std::string type, reduction;  // "": no such column
  };
  const std::string& name_;
  const Given& given_;
  const std::set<const Test*>& mentioned_;  // in the whole file
  int line_ = 0, header_line_ = 0;
  std::size_t time_column_ = 0, type_column_ = 0, reduction_column_ = 0;  // 0: not there
  bool counts_wrong_ = false;  // tests before 2.13 print a deviation there
  std::set<int> ranks_;
  std::set<std::string> hosts_, devices_;
  std::string starting_;  // what "# Collective test starting" names
  std::vector<Row> rows_;
  int passed_over_ = 0;
};

std::string Quoted(const std::string& text) {
  return absl::StrCat("\"", absl::CHexEscape(text.substr(0, 64)), "\"");
}

bool IsCount(const std::string& word) {
  return std::all_of(word.begin(), word.end(), [](char c) { return c >= '0' && c <= '9'; });
}

bool LogReader::Begins(const std::vector<std::string>& words) const {
  if (header_line_ == 0 || words.size() < 3 || words.front() != "#") return false;
  return words[1] == "nccl-tests" || words[1] == "rccl-tests" || words[1] == "nThread" ||
         (words[1] == "Collective" && words[2] == "test");
}

// words: without prefixes; a comment begins with the word "#".
Status LogReader::ReadLine(int line, const std::vector<std::string>& words) {
  line_ = line;
  if (words.front() == "#") {
    return words.size() == 1 ? absl::OkStatus() : ReadComment({words.begin() + 1, words.end()});
  }
  if (header_line_ == 0) return absl::OkStatus();
  if (words.size() >= 2 && IsCount(words[0]) && IsCount(words[1])) return ReadRow(words);
  ++passed_over_;
  return absl::OkStatus();
}

Status LogReader::ReadDevice(const std::vector<std::string>& words) {
  int rank = 0;
  if (!absl::SimpleAtoi(words[1], &rank) || rank < 0 || rank >= kMostRanks) {
    return Error(
        absl::StrCat("the rank is ", Quoted(words[1]), ", expected 0 to ", kMostRanks - 1));
  }
  if (!ranks_.insert(rank).second) {
    return Error(absl::StrCat("rank ", rank,
                              " a second time, expected one run; split the file "
                              "where the second run begins"));
  }
  const auto on = std::find(words.begin(), words.end(), "on");
  if (on == words.end() || on + 1 == words.end()) return absl::OkStatus();
  hosts_.insert(*(on + 1));
  // "on node-0 device 0 [0x10] NVIDIA H100 80GB HBM3"
  const auto bus =
      std::find_if(on, words.end(), [](const std::string& w) { return w.ends_with("]"); });
  if (bus != words.end() && bus + 1 != words.end())
    devices_.insert(absl::StrJoin(bus + 1, words.end(), " "));
  return absl::OkStatus();
}

Status LogReader::ReadComment(const std::vector<std::string>& words) {
  if (words.front() == "Rank" && words.size() > 1) return ReadDevice(words);
  if (words.front() == "Collective" && words.size() > 3 && words[1] == "test") {
    starting_ = words[3];
  }
  // "Out of bounds values : 0 OK"
  if (words.front() == "Out" && words.back() == "FAILED") {
    return Error("the results were wrong (FAILED), expected OK");
  }
  const auto time = std::find(words.begin(), words.end(), "time");
  if (words.front() != "size" || time == words.end()) return absl::OkStatus();
  if (header_line_ != 0) {
    return Error(absl::StrCat("a second header (the first is on line ", header_line_,
                              "), expected one run; split the file before it"));
  }
  header_line_ = line_;
  time_column_ = static_cast<std::size_t>(time - words.begin());
  const auto column = [&](const char* name) {
    const auto found = std::find(words.begin(), time, name);
    return found == time ? std::size_t{0} : static_cast<std::size_t>(found - words.begin());
  };
  type_column_ = column("type");
  reduction_column_ = column("redop");
  counts_wrong_ = time_column_ + 3 < words.size() && words[time_column_ + 3] == "#wrong";
  return absl::OkStatus();
}

StatusOr<double> LogReader::Number(const std::vector<std::string>& words, std::size_t column,
                                   const char* what, double most) const {
  double value = 0;
  if (!absl::SimpleAtod(words[column], &value) || !(value >= 0 && value <= most)) {
    return Error(
        absl::StrCat(what, " is ", Quoted(words[column]), ", expected a number of 0 to ", most));
  }
  return value;
}

Status LogReader::ReadRow(const std::vector<std::string>& words) {
  if (words.size() < time_column_ + 4) {
    return Error(absl::StrCat("has ", words.size(), " columns, expected at least ",
                              time_column_ + 4, " as the header on line ", header_line_));
  }
  Row row;
  row.line = line_;
  ASSIGN_OR_RETURN(row.bytes, Number(words, 0, "size", kMostBytes));
  ASSIGN_OR_RETURN(const double us, Number(words, time_column_, "time", kMostMicroseconds));
  ASSIGN_OR_RETURN(row.algorithm_bandwidth, Number(words, time_column_ + 1, "algbw", 1e9));
  ASSIGN_OR_RETURN(row.bus_bandwidth, Number(words, time_column_ + 2, "busbw", 1e9));
  const std::string& wrong = words[time_column_ + 3];
  double errors = 0;
  if (counts_wrong_ && wrong != "N/A" && (!absl::SimpleAtod(wrong, &errors) || errors != 0)) {
    return Error(absl::StrCat("#wrong is ", Quoted(wrong), ", expected 0 or N/A"));
  }
  if (row.bytes == 0) return absl::OkStatus();  // fewer elements than ranks
  if (us == 0) return Error("time is 0, expected more");
  row.seconds = us * 1e-6;
  if (type_column_ > 0) row.type = words[type_column_];
  if (reduction_column_ > 0) row.reduction = words[reduction_column_];
  rows_.push_back(row);
  return absl::OkStatus();
}

const Test* TestNamed(std::string_view name) {
  const auto* const found = std::find_if(std::begin(kTests), std::end(kTests),
                                         [&](const Test& test) { return test.name == name; });
  return found == std::end(kTests) ? nullptr : found;
}

const Test* TestOf(Collective collective) {
  return std::find_if(std::begin(kTests), std::end(kTests),
                      [&](const Test& test) { return test.collective == collective; });
}

// Tests whose names occur in the text.
void AddMentioned(std::string_view text, std::set<const Test*>* mentioned) {
  for (const Test& test : kTests) {
    if (text.find(test.name) != std::string_view::npos) mentioned->insert(&test);
  }
}

StatusOr<const Test*> LogReader::FindTest() const {
  if (!starting_.empty()) {
    const Test* test = TestNamed(starting_);
    if (test == nullptr) {
      return InvalidInput(
          absl::StrCat(name_, ": is of ", Quoted(starting_), ", expected one of ", TestNames()));
    }
    if (given_.kind && test->collective != *given_.kind) {
      return InvalidInput(absl::StrCat(name_, ": is of ", test->name, ", but --kind is ",
                                       std::string(NameOf(*given_.kind))));
    }
    return test;
  }
  if (given_.kind) {
    const Test* test = TestOf(*given_.kind);
    if (test != std::end(kTests)) return test;
    return InvalidInput(absl::StrCat("--kind: is ", std::string(NameOf(*given_.kind)),
                                     ", expected that of one of ", TestNames()));
  }
  std::set<const Test*> mentioned = mentioned_;
  if (mentioned.empty()) {
    AddMentioned(std::filesystem::path(name_).filename().string(), &mentioned);
  }
  if (mentioned.size() == 1) return *mentioned.begin();
  return InvalidInput(absl::StrCat(
      name_, mentioned.empty() ? ": does not say which test ran" : ": names several tests",
      ", expected one of ", TestNames(),
      " in \"# Collective test starting\", or --kind=all-reduce and the like"));
}

// Types are known, and what moves data only reduces nothing.
Status LogReader::CheckKinds(const Test& test) const {
  for (const Row& row : rows_) {
    const auto problem = [&](const char* column, const std::string& value,
                             const std::string& expected) {
      return InvalidInput(absl::StrCat(name_, ":", row.line, ": ", column, " is ", Quoted(value),
                                       ", expected ", expected));
    };
    const auto is = [](const std::string& value) {
      return [&value](const char* name) { return value == name; };
    };
    if (!row.type.empty() && std::none_of(std::begin(kTypes), std::end(kTypes), is(row.type))) {
      return problem("type", row.type, absl::StrCat("one of ", absl::StrJoin(kTypes, ", ")));
    }
    if (row.reduction.empty()) continue;
    const bool reduces =
        std::any_of(std::begin(kReductions), std::end(kReductions), is(row.reduction));
    if (!reduces && row.reduction != "none") {
      return problem("redop", row.reduction,
                     absl::StrCat("none or one of ", absl::StrJoin(kReductions, ", ")));
    }
    if (reduces != test.reduces) {
      return problem("redop", row.reduction,
                     absl::StrCat(test.reduces ? "a reduction" : "none", " for ", test.name));
    }
  }
  return absl::OkStatus();
}

// nccl-tests, doc/PERFORMANCE.md: busbw = algbw * 2 (p - 1) / p for an all-reduce, (p - 1) / p for
// the others here.
Status LogReader::CheckBusBandwidths(const Test& test, int ranks) const {
  const double p = ranks;
  const double factor = (test.collective == Collective::kAllReduce ? 2 : 1) * (p - 1) / p;
  for (const Row& row : rows_) {
    if (std::min(row.bus_bandwidth, row.algorithm_bandwidth) < kTellingBandwidth) continue;
    const double ratio = row.bus_bandwidth / row.algorithm_bandwidth;
    if (std::abs(ratio / factor - 1) <= kRatioTolerance) continue;
    return InvalidInput(absl::StrCat(name_, ":", row.line, ": busbw is ", ratio,
                                     " of algbw, expected ", factor, " for ", test.name, " on ",
                                     ranks, " ranks"));
  }
  return absl::OkStatus();
}

StatusOr<int> LogReader::FindRanks() const {
  const int listed = static_cast<int>(ranks_.size());
  if (listed > 0 && *ranks_.rbegin() + 1 != listed) {
    return InvalidInput(absl::StrCat(name_, ": lists ", listed, " ranks up to rank ",
                                     *ranks_.rbegin(), ", expected all of them"));
  }
  const int found = listed > 0 ? listed : given_.ranks;
  if (found == 0) return InvalidInput(name_ + ": lists no \"# Rank\", expected --ranks=N");
  if (given_.ranks != 0 && given_.ranks != found) {
    return InvalidInput(
        absl::StrCat(name_, ": lists ", found, " ranks, but --ranks is ", given_.ranks));
  }
  if (found < 2) return InvalidInput(name_ + ": is of 1 rank, expected at least 2");
  return found;
}

StatusOr<NcclLog> LogReader::Finish() {
  if (header_line_ == 0) {
    return InvalidInput(name_ + ": has no header \"# size count type ... time\" of nccl-tests");
  }
  if (rows_.empty()) return InvalidInput(name_ + ": has no rows of measured sizes");
  ASSIGN_OR_RETURN(const Test* const test, FindTest());
  ASSIGN_OR_RETURN(const int ranks, FindRanks());
  RETURN_IF_ERROR(CheckKinds(*test));
  RETURN_IF_ERROR(CheckBusBandwidths(*test, ranks));
  NcclLog log{.collective = test->collective,
              .ranks = ranks,
              .hosts = std::max(1, static_cast<int>(hosts_.size())),
              .devices = {devices_.begin(), devices_.end()},
              .samples = {},
              .passed_over = passed_over_};
  for (const Row& row : rows_) {
    log.samples.push_back({ranks, Bytes(row.bytes), Seconds(row.seconds)});
  }
  return log;
}

// The words of a line, "#" on its own where it begins one.
std::vector<std::string> WordsOf(std::string_view line) {
  std::vector<std::string> words;
  if (line.starts_with('#')) {
    words.emplace_back("#");
    line.remove_prefix(1);
  }
  for (const auto word : absl::StrSplit(absl::string_view(line.data(), line.size()),
                                        absl::ByAnyChar(" \t\r\v\f"), absl::SkipEmpty())) {
    words.emplace_back(word);
  }
  return words;
}

}  // namespace

StatusOr<std::vector<NcclLog>> ParseNcclLog(const std::string& name, const std::string& content,
                                            int ranks, std::optional<Collective> kind) {
  const Given given{name, ranks, kind};
  std::set<const Test*> mentioned;
  AddMentioned(content, &mentioned);
  std::vector<NcclLog> logs;
  std::optional<LogReader> reader;
  reader.emplace(given, mentioned);
  int line = 0;
  for (const auto piece : absl::StrSplit(content, '\n')) {
    ++line;
    const std::vector<std::string> words =
        WordsOf(WithoutPrefixes(std::string_view(piece.data(), piece.size())));
    if (words.empty()) continue;
    if (reader->Begins(words)) {
      ASSIGN_OR_RETURN(NcclLog log, reader->Finish());
      logs.push_back(std::move(log));
      reader.emplace(given, mentioned);
    }
    RETURN_IF_ERROR(reader->ReadLine(line, words));
  }
  ASSIGN_OR_RETURN(NcclLog log, reader->Finish());
  logs.push_back(std::move(log));
  return logs;
}

}  // namespace meshstep
