/// A table for people: names at the left, numbers flush right.
struct TextTable {
  /// Said above it.
  var title: String?
  var header: [String]
  var rows: [[String]]

  /// The first column flush left, two blanks between columns. Wider than `width` characters, it is told in several pieces, each with the first
  /// column again.
  func text(width: Int = 80) -> String {
    let widths = header.indices.map { column in ([header] + rows).map { $0[column].count }.max() ?? 0 }
    var pieces: [[Int]] = [[]]
    var used = widths[0]
    for column in header.indices.dropFirst() {
      if used + 2 + widths[column] > width, pieces.last?.isEmpty == false {
        pieces.append([])
        used = widths[0]
      }
      pieces[pieces.count - 1].append(column)
      used += 2 + widths[column]
    }
    let texts = pieces.map { columns in
      ([header] + rows).map { row in
        let first = row[0] + blanks(widths[0] - row[0].count)
        let line = first + columns.map { "  " + blanks(widths[$0] - row[$0].count) + row[$0] }.joined()
        return String(line.reversed().drop { $0 == " " }.reversed()) + "\n"
      }.joined()
    }
    return (title.map { $0 + "\n" } ?? "") + texts.joined(separator: "\n")
  }

  /// As GitHub's Markdown has tables.
  var markdown: String {
    func line(_ cells: [String]) -> String {
      "| " + cells.map { $0.replacing("|", with: "\\|") }.joined(separator: " | ") + " |\n"
    }
    let rule = "| --- |" + String(repeating: " ---: |", count: header.count - 1) + "\n"
    return (title.map { "**\($0)**\n\n" } ?? "") + line(header) + rule + rows.map(line).joined()
  }

  private func blanks(_ count: Int) -> String { String(repeating: " ", count: max(count, 0)) }
}

/// A table for programs: numbers with all of their digits, what is undefined empty.
struct CSVText {
  private(set) var text: String

  init(_ header: [String]) { text = Self.line(header) }

  mutating func append(_ cells: [Cell]) { text += Self.line(cells.map(\.text)) }

  enum Cell {
    case name(String)
    case count(Int)
    case number(Double?)

    fileprivate var text: String {
      switch self {
      case .name(let text): text
      case .count(let count): String(count)
      case .number(let value): value.map { "\($0)" } ?? ""
      }
    }
  }

  private static func line(_ cells: [String]) -> String { cells.map(csvField).joined(separator: ",") + "\n" }
}
