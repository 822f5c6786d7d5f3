import Checkpoints
import Foundation
import Platform
import TestSupport
import Testing

@Suite struct CheckpointSearchTests {
  @Test func `files, folders, run directories and patterns name checkpoints, each once`() throws {
    try inTemporaryFolder { folder in
      for run in ["a", "b"] {
        try createFolder("\(folder)/\(run)/checkpoints")
        for name in ["step-9", "step-10", "best", "last.state"] {
          try AtomicFile.write("x", to: "\(folder)/\(run)/checkpoints/\(name).safetensors", overwriting: false)
        }
      }
      try AtomicFile.write("x", to: folder + "/own.safetensors", overwriting: false)
      func found(_ arguments: [String]) throws -> [String] {
        try Checkpoint.paths(arguments.map { folder + "/" + $0 }).map { String($0.dropFirst(folder.count + 1)) }
      }
      let ofA = ["best", "step-9", "step-10"].map { "a/checkpoints/\($0).safetensors" }
      #expect(try found(["a"]) == ofA)
      #expect(try found(["a/checkpoints/"]) == ofA)
      #expect(
        try found(["*/checkpoints/best.safetensors", "own.safetensors", "a/checkpoints/best.safetensors"]) == [
          "a/checkpoints/best.safetensors", "b/checkpoints/best.safetensors", "own.safetensors",
        ])
      #expect(try found(["[ab]"]).count == 6)
      // A shell has expanded the pattern to the state, too.
      #expect(try found(["a/checkpoints/best.safetensors", "a/checkpoints/last.state.safetensors"]) == [ofA[0]])
      #expect(try found(["a/checkpoints/last.state.safetensors"]) == ["a/checkpoints/last.state.safetensors"])
    }
  }

  @Test(arguments: [("nothing", "file.missing"), ("empty", "checkpoint.none"), ("*.pt", "checkpoint.none")])
  func `what names none is an error with exit 66`(name: String, id: String) throws {
    try inTemporaryFolder { folder in
      try createFolder(folder + "/empty")
      let error = #expect(throws: CheckpointError.self) { try Checkpoint.paths([folder + "/" + name]) }
      #expect(error?.diagnosis.id == id && error?.diagnosis.exit == .inputMissing)
    }
  }
}
