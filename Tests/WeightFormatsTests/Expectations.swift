import Foundation
import Platform
import Tensors
import TestSupport
import Testing

@testable import WeightFormats

/// Checks that `file` holds exactly the tensors that Python wrote beside it, in `<file>.expected.json`.
func expectContents(of file: WeightFile, sourceLocation: SourceLocation = #_sourceLocation) throws {
  let expected = try JSONValue.parse(FileReader.contents(of: file.path + ".expected.json")).object ?? JSONObject()
  let tensors = try file.tensors()
  #expect(Set(tensors.names) == Set(expected.keys), sourceLocation: sourceLocation)
  tensors.forEach { name, tensor in
    let found: JSONValue = [
      "type": .string(tensor.elementType.rawValue), "shape": JSONValue(tensor.shape.extents),
      "sha256": .string(SHA256.hex(of: tensor.bytes)),
    ]
    #expect(found == expected[name], "\(name)", sourceLocation: sourceLocation)
  }
}

/// Checks that every proper beginning of the file is refused with a typed error, on opening or on reading.
func expectTruncationsRefused(of path: String, sourceLocation: SourceLocation = #_sourceLocation) throws {
  let bytes = try FileReader.contents(of: path)
  try inTemporaryFolder { folder in
    let cut = folder + "/cut"
    try AtomicFile.write(bytes, to: cut, overwriting: false)
    for size in (0..<bytes.count).reversed() {
      try #require(truncate(cut, off_t(size)) == 0)
      do throws(WeightFormatError) {
        _ = try WeightFile.open(path: cut).tensors()
        Issue.record("the first \(size) of \(bytes.count) bytes were accepted", sourceLocation: sourceLocation)
      } catch {
        #expect(error.diagnosis.exit != .internalBug, sourceLocation: sourceLocation)
      }
    }
  }
}
