/// The rows of comma-separated values, one after the other (RFC 4180).
///
/// Quoted fields can hold commas, line ends and doubled quotes; lines end with LF or CRLF, the last one with or
/// without; a byte order mark and blank lines are skipped. What is not UTF-8 becomes U+FFFD. Nothing is known of
/// headers here.
struct CSVReader {
  struct Row: Equatable {
    /// The line on which the row begins, from 1.
    var line: Int
    var fields: [String]
  }

  private let bytes: [UInt8]
  private let path: String
  private var offset: Int
  private var line = 1

  /// `path`: where the bytes came from, for messages.
  init(_ bytes: [UInt8], path: String) {
    self.bytes = bytes
    self.path = path
    offset = bytes.starts(with: byteOrderMark) ? byteOrderMark.count : 0
  }

  /// The next row; nil at the end.
  ///
  /// Errors: `unclosedQuote`, `textAfterQuote`.
  mutating func next() throws(ChestXrayError) -> Row? {
    while offset < bytes.count {
      var row = Row(line: line, fields: [])
      while true {
        row.fields.append(try field())
        if offset < bytes.count, bytes[offset] == comma {
          offset += 1
        } else {
          break
        }
      }
      skipLineEnd()
      if row.fields != [""] { return row }
    }
    return nil
  }

  /// The field at `offset`, which is moved to the comma, the line end or the end of the bytes behind it.
  private mutating func field() throws(ChestXrayError) -> String {
    if offset < bytes.count, bytes[offset] == quote { return try quotedField() }
    let start = offset
    while offset < bytes.count, bytes[offset] != comma, bytes[offset] != lineFeed { offset += 1 }
    var end = offset
    if end > start, bytes[end - 1] == carriageReturn, offset == bytes.count || bytes[offset] == lineFeed { end -= 1 }
    return String(decoding: bytes[start..<end], as: UTF8.self)
  }

  private mutating func quotedField() throws(ChestXrayError) -> String {
    let firstLine = line
    var text: [UInt8] = []
    offset += 1
    while offset < bytes.count {
      let byte = bytes[offset]
      offset += 1
      if byte != quote {
        if byte == lineFeed { line += 1 }
        text.append(byte)
      } else if offset < bytes.count, bytes[offset] == quote {
        text.append(quote)
        offset += 1
      } else {
        guard isFieldEnd else { throw .table(path: path, line: line, .textAfterQuote) }
        return String(decoding: text, as: UTF8.self)
      }
    }
    throw .table(path: path, line: firstLine, .unclosedQuote)
  }

  /// Whether a field can end at `offset`.
  private var isFieldEnd: Bool {
    guard offset < bytes.count else { return true }
    let isCRLF = bytes[offset] == carriageReturn && (offset + 1 == bytes.count || bytes[offset + 1] == lineFeed)
    return bytes[offset] == comma || bytes[offset] == lineFeed || isCRLF
  }

  private mutating func skipLineEnd() {
    if offset < bytes.count, bytes[offset] == carriageReturn { offset += 1 }
    if offset < bytes.count, bytes[offset] == lineFeed {
      offset += 1
      line += 1
    }
  }
}

/// Comma-separated values under a header: every row has a field for each of its names.
struct CSVTable {
  /// Without the empty names at its end, which NIH's files have. A name with a comma in brackets, as
  /// `OriginalImage[Width,Height]`, is two columns, in the header and in the rows.
  let header: [String]
  let rows: [CSVReader.Row]

  /// Errors: `empty` without a header, `columns` for a row of another length, and those of `CSVReader`. Empty fields
  /// beyond the header are dropped.
  init(_ bytes: [UInt8], path: String) throws(ChestXrayError) {
    var reader = CSVReader(bytes, path: path)
    guard let first = try reader.next() else { throw .table(path: path, line: nil, .empty) }
    var names = first.fields.map(trimmed)
    while names.last == "" { names.removeLast() }
    var rows: [CSVReader.Row] = []
    while var row = try reader.next() {
      while row.fields.count > names.count, row.fields.last == "" { row.fields.removeLast() }
      guard row.fields.count == names.count else {
        throw .table(path: path, line: row.line, .columns(expected: names.count, found: row.fields.count))
      }
      rows.append(row)
    }
    header = names
    self.rows = rows
  }
}

/// UTF-8's.
let byteOrderMark: [UInt8] = [0xEF, 0xBB, 0xBF]
private let comma = UInt8(ascii: ",")
private let quote = UInt8(ascii: "\"")
private let lineFeed = UInt8(ascii: "\n")
private let carriageReturn = UInt8(ascii: "\r")

/// `text` without blanks at its ends.
func trimmed(_ text: String) -> String {
  guard let first = text.firstIndex(where: { !$0.isWhitespace }), let last = text.lastIndex(where: { !$0.isWhitespace })
  else { return "" }
  return String(text[first...last])
}
