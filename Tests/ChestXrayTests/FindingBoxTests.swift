import Foundation
import Platform
import Testing

@testable import ChestXray

@Suite struct FindingBoxTests {
  private static let header = "Image Index,Finding Label,Bbox [x,y,w,h],,,\n"

  private func boxes(_ text: String) throws -> [FindingBox] {
    let folder = try temporaryFolder()
    defer { try? FileManager.default.removeItem(atPath: folder) }
    try AtomicFile.write(text, to: folder + "/boxes.csv", overwriting: false)
    return try FindingBox.read(folder + "/boxes.csv")
  }

  @Test("a box is in the pixels of the image, and Infiltrate is Infiltration")
  func read() throws {
    let boxes = try boxes(Self.header + "00013118_008.png,Infiltrate,225.5,547.25,86,79.125\n")
    #expect(
      boxes == [
        FindingBox(
          image: "00013118_008.png", finding: .infiltration, x: 225.5, y: 547.25, width: 86, height: 79.125)
      ])
  }

  @Test("several boxes of a finding, and rows that stand twice, are all there; a spreadsheet's empty fields are not")
  func rows() throws {
    let rows = ["a.png,Mass,1,2,3,4", "a.png,Mass,5,6,7,8,,,", "a.png,Mass,1,2,3,4"]
    let text = (Self.header + rows.joined(separator: "\n")).replacing("\n", with: "\r\n")
    #expect(try boxes(text).map(\.x) == [1, 5, 1])
  }

  @Test(
    "a box that is none is an error with its line",
    arguments: [
      ("a.png,Mass,1,2,3,x", .box(value: "1,2,3,x")), ("a.png,Mass,1,2,0,4", .box(value: "1,2,0,4")),
      ("a.png,Mass,-1,2,3,4", .box(value: "-1,2,3,4")), ("a.png,Mass,1,2,nan,4", .box(value: "1,2,nan,4")),
      ("a.png,Mas,1,2,3,4", .unknownFinding("Mas", nearest: .mass)),
      ("a.png,Mass,1,2,3", .columns(expected: 6, found: 5)),
    ] as [(String, TableFault)])
  func faulty(row: String, fault: TableFault) {
    let error = #expect(throws: ChestXrayError.self) { try boxes(Self.header + row + "\n") }
    guard case .table(_, 2, fault) = error else {
      Issue.record("\(String(describing: error))")
      return
    }
  }
}
