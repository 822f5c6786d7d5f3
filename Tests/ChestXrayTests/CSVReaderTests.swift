import Testing

@testable import ChestXray

@Suite struct CSVReaderTests {
  private func rows(_ text: String) throws -> [CSVReader.Row] {
    var reader = CSVReader(Array(text.utf8), path: "t.csv")
    var rows: [CSVReader.Row] = []
    while let row = try reader.next() { rows.append(row) }
    return rows
  }

  @Test(
    "rows are read as RFC 4180 has them",
    arguments: [
      ("a,b\nc,d\n", [["a", "b"], ["c", "d"]]), ("a,b\r\nc,d\r\n", [["a", "b"], ["c", "d"]]),
      ("a,b\nc,d", [["a", "b"], ["c", "d"]]), ("\u{FEFF}a,b\n", [["a", "b"]]), ("a,,\n", [["a", "", ""]]),
      ("\"a,1\",\"say \"\"b\"\"\"\n", [["a,1", "say \"b\""]]), ("\"two\nlines\",b\r\n", [["two\nlines", "b"]]),
      ("a\r\n\r\n\nb\n", [["a"], ["b"]]), ("", []), ("\u{FEFF}", []), ("a,", [["a", ""]]), ("\"\"\n", []),
      ("a \"quoted\" word,b\n", [["a \"quoted\" word", "b"]]), ("\"a\"\r\n", [["a"]]), ("\"a\"", [["a"]]),
    ] as [(String, [[String]])])
  func fields(text: String, expected: [[String]]) throws {
    #expect(try rows(text).map(\.fields) == expected)
  }

  @Test("a row knows the line on which it begins")
  func lines() throws {
    #expect(try rows("a\n\n\"b\nc\",d\r\ne\n").map(\.line) == [1, 3, 5])
  }

  @Test(
    "a wrong quote is an error with its line",
    arguments: [
      ("a\nb,\"c\n", 2, .unclosedQuote), ("\"a\"b,c\n", 1, .textAfterQuote), ("x\n\"a\" ,c\n", 2, .textAfterQuote),
    ] as [(String, Int, TableFault)])
  func quotes(text: String, line: Int, fault: TableFault) {
    #expect(throws: ChestXrayError.table(path: "t.csv", line: line, fault)) { try rows(text) }
  }

  @Test("empty columns at the end of a header or a row are dropped, as NIH's files have them")
  func trailing() throws {
    let table = try CSVTable(Array("Image Index,Size[W,H],,\na.png,1,2\nb.png,3,4,,\n".utf8), path: "t.csv")
    #expect(table.header == ["Image Index", "Size[W", "H]"])
    #expect(table.rows.map(\.fields) == [["a.png", "1", "2"], ["b.png", "3", "4"]])
  }

  @Test("a row of another length is an error", arguments: [("a,b\n1,2\n3\n", 3, 1), ("a,b\n1,2,3\n", 2, 3)])
  func lengths(text: String, line: Int, found: Int) {
    #expect(throws: ChestXrayError.table(path: "t.csv", line: line, .columns(expected: 2, found: found))) {
      try CSVTable(Array(text.utf8), path: "t.csv")
    }
  }
}
