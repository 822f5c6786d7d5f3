import Platform

/// What can be wrong with a list of images or a table of labels.
public enum TableFault: Equatable, Sendable {
  /// No line of the file names an image.
  case empty
  /// The first line is of no dialect that we know.
  case unknownDialect(found: String)
  /// A line with another number of columns than the header, or than a name and 14 labels.
  case columns(expected: Int, found: Int)
  case unclosedQuote
  /// Text after the closing quote of a field.
  case textAfterQuote
  /// A CSV without a column that names the images.
  case noImageColumn(header: [String])
  /// A CSV without a column of labels.
  case noFindingColumn(header: [String])
  /// A CSV column that is nearly, but not quite, a finding.
  case misspelledColumn(String, nearest: Finding)
  /// Two columns for the same finding.
  case repeatedColumn(String)
  /// A cell that is neither 0, 1, −1 nor empty.
  case label(value: String, column: String)
  /// Text in `Finding Labels` that is not a finding.
  case unknownFinding(String, nearest: Finding?)
  /// `No Finding` beside a finding.
  case contradiction(String)
  case noName
  case duplicate(name: String, firstLine: Int)
  /// A list of names only, and no `--labels` to go with it.
  case labelsNeeded
  /// An image of the list that the `--labels` table does not have.
  case absent(name: String, table: String)
  /// An image of the list that is several rows of the `--labels` table.
  case ambiguous(name: String, table: String)
  /// A coordinate of a box that is not a number, or a box outside of any image.
  case box(value: String)

  func diagnosis(path: String, line: Int?) -> Diagnosis {
    let place = path.printable + (line.map { ", line \($0)" } ?? "")
    let (id, message, hint) = words
    return Diagnosis(
      id: "table.\(id)", exit: .badData, message: "\(place): \(message)", hint: hint, file: path)
  }

  /// The error's name, one sentence, and what to do.
  private var words: (String, String, String) {
    switch self {
    case .empty:
      ("empty", "expected images, found none", "give a list with one image a line")
    case .unknownDialect(let found):
      (
        "unknown-dialect",
        "expected an image and 14 labels, an image alone, or a CSV header; found `\(found.printable)`",
        "check that this is the list or table you mean"
      )
    case .columns(let expected, let found):
      ("columns", "expected \(expected) columns, found \(found)", "make every line as long as the first")
    case .unclosedQuote:
      (
        "quote", "a quote opens and never closes",
        "close the field with a quote; inside a field a quote is written twice"
      )
    case .textAfterQuote:
      ("quote", "text follows a closing quote", "quote the whole field; inside a field a quote is written twice")
    case .noImageColumn(let header):
      (
        "no-image-column", "expected a column that names the images, found \(list(header))",
        "name it `Image Index` or `path`"
      )
    case .noFindingColumn(let header):
      (
        "no-finding-column", "expected a column for each finding, or `Finding Labels`; found \(list(header))",
        "name the columns as the findings: \(Finding.allCases.map(\.name).joined(separator: ", "))"
      )
    case .misspelledColumn(let name, let nearest):
      ("unknown-finding", "`\(name.printable)` is not a finding", "did you mean \(nearest.name)?")
    case .repeatedColumn(let name):
      ("repeated-column", "two columns are `\(name.printable)`", "remove one of them")
    case .label(let value, let column):
      (
        "label", "expected 0, 1, −1 or nothing for \(column.printable), found `\(value.printable)`",
        "1 is positive, 0 negative, −1 or nothing unknown"
      )
    case .unknownFinding(let text, let nearest):
      (
        "unknown-finding", "`\(text.printable)` is not a finding",
        nearest.map { "did you mean \($0.name)?" }
          ?? "the findings are \(Finding.allCases.map(\.name).joined(separator: ", ")), or No Finding"
      )
    case .contradiction(let text):
      ("contradiction", "`No Finding` stands beside a finding: `\(text.printable)`", "remove one or the other")
    case .noName:
      ("no-name", "expected the name of an image, found nothing", "name the image, or remove the line")
    case .duplicate(let name, let firstLine):
      ("duplicate", "\(name.printable) is already in line \(firstLine)", "remove one of the lines")
    case .labelsNeeded:
      (
        "labels-needed", "the list has no labels",
        "give the table that has them, for example --labels Data_Entry_2017_v2020.csv"
      )
    case .absent(let name, let table):
      (
        "absent", "\(name.printable) is not in the table \(table.printable)",
        "give the table of the whole data set, or take the image out of the list"
      )
    case .ambiguous(let name, let table):
      (
        "ambiguous", "\(name.printable) could be several rows of \(table.printable)",
        "name images with their folders in both files"
      )
    case .box(let value):
      ("box", "expected a box within an image, found `\(value.printable)`", "boxes are x, y, width, height in pixels")
    }
  }
}

/// The first names of a header, for a message.
private func list(_ header: [String]) -> String {
  header.prefix(8).map { "`\($0.printable)`" }.joined(separator: ", ") + (header.count > 8 ? ", …" : "")
}
