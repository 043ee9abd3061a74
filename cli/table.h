// File: table.h
//
// Columns of text, each as wide as its widest cell.
//
// Thread rule: thread-compatible.

#ifndef CLI_TABLE_H_
#define CLI_TABLE_H_

#include <string>
#include <vector>

namespace picket {

class Table {
 public:
  explicit Table(std::vector<std::string> header) { rows_.push_back(std::move(header)); }
  // REQUIRES: as many cells as the header has, harmless for the sink they go to.
  void Add(std::vector<std::string> cells) { rows_.push_back(std::move(cells)); }
  // Lines, each with its newline.
  std::string ToString() const;

 private:
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace picket

#endif  // CLI_TABLE_H_
