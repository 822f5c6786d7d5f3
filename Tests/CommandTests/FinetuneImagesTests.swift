import Foundation
import Platform
import TestSupport
import Testing

/// What `finetune` does with images that cannot be read, and with those that it has kept.
@Suite struct FinetuneImagesTests {
  /// The small data set, copied to `folder`, and a run on it to `run`.
  private func finetune(_ folder: String, _ run: String, _ more: [String] = []) -> [String] {
    [
      "finetune", "--data", folder, "--train", folder + "/train_list.txt", "--validation", folder + "/val_list.txt",
      "--architecture", "2:1,1", "--image-size", "32", "--batch-size", "4", "--epochs", "2", "--learning-rate", "1e-3",
      "--gradient-accumulation", "2", "--augment", "flip", "--output", run,
    ] + more
  }

  private func copyDemo(to folder: String) throws {
    try FileManager.default.copyItem(atPath: SmallDemo.folder, toPath: folder)
  }

  private func lines(_ path: String) throws -> [String] {
    String(decoding: try FileReader.contents(of: path), as: UTF8.self).split(separator: "\n").map(String.init)
  }

  private func same(_ run: String, _ other: String, _ file: String) throws {
    #expect(try FileReader.contents(of: "\(run)/\(file)") == FileReader.contents(of: "\(other)/\(file)"), "\(file)")
  }

  @Test func `a bad image ends a run, or its sample is left out as if the list did not have it`() throws {
    try inTemporaryFolder { folder in
      let data = folder + "/data"
      try copyDemo(to: data)
      let list = try lines(data + "/train_list.txt")
      let bad = String(try #require(list.last?.split(separator: " ").first))
      let path = data + "/images/" + bad
      try AtomicFile.write(Array(try FileReader.contents(of: path).dropLast(40)), to: path, overwriting: true)

      let stopped = try Executable.run(finetune(data, folder + "/stopped", ["--json"]))
      #expect(stopped.status == 65)
      #expect(try stopped.error()["id"]?.string == "run.bad-images")
      #expect(try stopped.error()["file"]?.string == path)
      #expect(!FileManager.default.fileExists(atPath: folder + "/stopped"))

      // One step of all images: the same others as with a list that lacks the bad one, in another order.
      let step = ["--on-bad-image", "skip", "--batch-size", "64", "--gradient-accumulation", "1"]
      let skipped = try Executable.run(finetune(data, folder + "/skipped", step))
      #expect(skipped.status == 0, "\(skipped.err)")
      #expect(skipped.err.contains("skipped: ") && skipped.err.contains(bad))
      #expect(try lines(folder + "/skipped/events.jsonl").filter { $0.contains("\"skipped\"") }.count == 1)
      try AtomicFile.write(
        list.dropLast().joined(separator: "\n") + "\n", to: data + "/train_list.txt", overwriting: true)
      let without = try Executable.run(finetune(data, folder + "/without", step))
      #expect(without.status == 0 && !without.err.contains("skipped: "))
      let losses = try ["skipped", "without"].map { run in
        try #require(Double(lines("\(folder)/\(run)/metrics.csv")[1].split(separator: ",")[2]))
      }
      // Sums of some hundred floats around 0.7 in another order: far less than one image in forty would change.
      #expect(abs(losses[0] - losses[1]) < 1e-5, "\(losses)")
    }
  }

  @Test(arguments: ["train", "val"])
  func `a list of which every image is skipped ends the run`(list: String) throws {
    try inTemporaryFolder { folder in
      let data = folder + "/data"
      try copyDemo(to: data)
      for line in try lines("\(data)/\(list)_list.txt") {
        let name = try #require(line.split(separator: " ").first)
        try AtomicFile.write("", to: "\(data)/images/\(name)", overwriting: true)
      }
      let output = try Executable.run(finetune(data, folder + "/run", ["--on-bad-image", "skip", "--json"]))
      #expect(output.status == 65)
      #expect(try output.error()["id"]?.string == "run.bad-images")
      #expect(!FileManager.default.fileExists(atPath: folder + "/run/checkpoints/best.safetensors"))
    }
  }

  @Test func `images that are missing or look damaged are all told before the run begins`() throws {
    try inTemporaryFolder { folder in
      let data = folder + "/data"
      try copyDemo(to: data)
      let names = try lines(data + "/train_list.txt").compactMap { $0.split(separator: " ").first.map(String.init) }
      func replace(_ name: String, _ change: ([UInt8]) -> [UInt8]) throws {
        let path = data + "/images/" + name
        try AtomicFile.write(change(try FileReader.contents(of: path)), to: path, overwriting: true)
      }
      try replace(names[0]) { Array($0.dropLast()) }
      try replace(names[3]) { _ in [] }
      try replace(names[5]) { _ in Array("<html>".utf8) }
      // Something behind the end of an image that is whole is no damage.
      try replace(names[7]) { $0 + [0] }
      let bad = try Executable.run(finetune(data, folder + "/run", ["--json"]))
      #expect(bad.status == 65)
      let details = try bad.error()["details"]?.array?.compactMap(\.string) ?? []
      #expect(details.count == 3)
      for (detail, place) in zip(details, [0, 3, 5]) { #expect(detail.contains(names[place])) }
      for name in names.prefix(2) { #expect(unlink(data + "/images/" + name) == 0) }
      let missing = try Executable.run(finetune(data, folder + "/run", ["--json"]))
      #expect(missing.status == 66)
      #expect(try missing.error()["details"]?.array?.compactMap(\.string) == Array(names.prefix(2)))
      #expect(!FileManager.default.fileExists(atPath: folder + "/run"))
    }
  }

  @Test func `a run has the same bytes whether its images are kept, were kept, or cannot be`() throws {
    try inTemporaryFolder { folder in
      let cached = ["--cache", folder + "/cache", "--cache-size", "48"]
      let data = SmallDemo.folder
      let first = try Executable.run(finetune(data, folder + "/first", cached))
      #expect(first.status == 0, "\(first.err)")
      #expect(first.err.contains("cache: 0 of "))
      let second = try Executable.run(finetune(data, folder + "/second", cached))
      #expect(second.status == 0)
      #expect(!second.err.contains("cache: 0 of ") && second.err.contains("radiographs are in"))
      try AtomicFile.write("", to: folder + "/file", overwriting: false)
      let third = try Executable.run(
        finetune(data, folder + "/third", ["--cache", folder + "/file/cache", "--cache-size", "48"]))
      #expect(third.status == 0, "\(third.err)")
      for file in ["metrics.csv", "checkpoints/last.safetensors", "checkpoints/best.safetensors"] {
        try same(folder + "/first", folder + "/second", file)
        try same(folder + "/first", folder + "/third", file)
      }
      // Without one, images keep their size: another run.
      let never = try Executable.run(finetune(data, folder + "/never", ["--cache", "never"]))
      #expect(never.status == 0)
      #expect(try lines(folder + "/never/metrics.csv") != lines(folder + "/first/metrics.csv"))
      #expect(try Executable.run(finetune(data, folder + "/small", ["--cache-size", "24"])).status == 64)
      #expect(
        try Executable.run(finetune(data, folder + "/both", ["--cache", "never", "--cache-size", "64"])).status == 64)
    }
  }
}
