import Foundation
import Platform
import TestSupport
import Testing

@Suite struct EvaluateCommandTests {
  private static let demo = SmallDemo.folder
  private let list = SmallDemo.folder + "/test_list.txt"

  private func evaluate(_ arguments: [String]) throws -> Executable.Output {
    try Executable.run(["evaluate"] + arguments + ["--data", Self.demo, "--test", list])
  }

  /// Checkpoints of other weights, of other preprocessings.
  private func checkpoints(_ folder: String) throws -> [String] {
    try ["center-crop", "resize"].map { preprocessing in
      let path = folder + "/\(preprocessing).safetensors"
      let imported = try Executable.run([
        "import-weights", fixture("demo/start.pt"), "--output", path, "--preprocessing", preprocessing,
      ])
      try #require(imported.status == 0, "\(imported.err)")
      return path
    }
  }

  @Test func `several at once are what each is alone, whatever the batch, and the same one is run once`() throws {
    try inTemporaryFolder { folder in
      let paths = try checkpoints(folder)
      try FileManager.default.copyItem(atPath: paths[0], toPath: folder + "/center-crop-copy.safetensors")
      // The folder has three; the copy follows the original, as names do.
      let all = try evaluate([folder, "--json", "--batch-size", "5"])
      #expect(all.status == 0, "\(all.err)")
      let found = try #require(try all.json()["checkpoints"]?.array)
      #expect(
        found.map { $0["name"]?.string }
          == ["/center-crop-copy.safetensors", "/center-crop.safetensors", "/resize.safetensors"].map { folder + $0 })
      for (place, path) in [(1, paths[0]), (2, paths[1])] {
        let alone = try evaluate([path, "--json"]).json()["checkpoints"]?[0]
        #expect(alone == found[place])
      }
      #expect(found[0]["findings"] == found[1]["findings"] && found[1]["findings"] != found[2]["findings"])
    }
  }

  /// `predict` is compared with PyTorch.
  @Test(arguments: ["1", "5", "10"]) func `crops are those of predict`(crops: String) throws {
    try inTemporaryFolder { folder in
      let path = try checkpoints(folder)[0]
      let output = folder + "/predictions.csv"
      #expect(try evaluate([path, "--crops", crops, "--predictions", output]).status == 0)
      let listed = folder + "/predicted.csv"
      let predicted = try Executable.run([
        "predict", path, list, "--data", Self.demo, "--crops", crops, "--output", listed,
      ])
      #expect(predicted.status == 0, "\(predicted.err)")
      func probabilities(_ path: String) throws -> [[Substring]] {
        String(decoding: try FileReader.contents(of: path), as: UTF8.self).split(separator: "\n").map {
          Array($0.split(separator: ",", omittingEmptySubsequences: false)[2..<16])
        }
      }
      #expect(try probabilities(output) == probabilities(listed))
    }
  }

  @Test func `crops that a preprocessing has not are exit 65`() throws {
    try inTemporaryFolder { folder in
      let output = try evaluate([try checkpoints(folder)[1], "--crops", "5"])
      #expect(output.status == 65)
      #expect(output.err.contains("5 crops need a preprocessing"))
    }
  }

  @Test func `an ensemble's predictions score as the ensemble, and are compared with its members`() throws {
    try inTemporaryFolder { folder in
      let paths = try checkpoints(folder)
      let output = folder + "/ensemble.csv"
      let json = try evaluate(paths + ["--ensemble", "--compare", "--predictions", output, "--json"]).json()
      let names = json["checkpoints"]?.array?.compactMap { $0["name"]?.string }
      #expect(names == paths + ["ensemble of 2"])
      #expect(json["comparisons"]?.array?.count == 2)
      #expect(json["comparisons"]?[1]?["second"] == "ensemble of 2")
      let again = try Executable.run(["evaluate", "--scores", output, "--test", list, "--json"]).json()
      #expect(again["checkpoints"]?[0]?["findings"] == json["checkpoints"]?[2]?["findings"])
    }
  }

  @Test func `thresholds come from the other list, groups from the table`() throws {
    try inTemporaryFolder { folder in
      let table = Self.demo + "/Data_Entry_2017.csv"
      let arguments = [
        try checkpoints(folder)[0], "--labels", table, "--thresholds-from", Self.demo + "/val_list.txt",
      ]
      let checkpoint = try evaluate(arguments + ["--json"]).json()["checkpoints"]?[0]
      let thresholds = try #require(checkpoint?["findings"]?[0]?["thresholds"]?.array)
      #expect(thresholds.compactMap { $0["rule"]?.string }.prefix(3) == ["youden", "f1", "sensitivity-0.95"])
      #expect(thresholds[0]["sensitivity"]?["count"] == checkpoint?["findings"]?[0]?["positives"])
      let groups = try #require(checkpoint?["groups"]?.array)
      #expect(groups.contains { $0["attribute"] == "sex" && $0["value"] == "F" })
      let text = try evaluate(arguments).out
      #expect(text.contains("\nthreshold by youden on val_list.txt\n"))
      #expect(text.contains("\nmean AUROC in groups of patients\n"))
      let leaking = try evaluate([arguments[0], "--thresholds-from", list])
      #expect(leaking.err.contains("warning: thresholds are chosen on 12 of the images"), "\(leaking.err)")
    }
  }

  @Test func `what was trained on is found in the run, said aloud, and fails a gate`() throws {
    try inTemporaryFolder { folder in
      let run = folder + "/run"
      #expect(try Executable.run(SmallDemo.finetune(run, epochs: 1)).status == 0)
      let best = run + "/checkpoints/best.safetensors"
      let clean = try evaluate([best, "--strict", "--json"])
      #expect(clean.status == 0, "\(clean.err)")
      let list = try clean.json()["checkpoints"]?[0]?["trained_on"]?[0]
      #expect(list?["found"] == true && list?["images"] == 0 && list?["patients"] == 0)

      // Judged on what it was trained on.
      let train = Self.demo + "/train_list.txt"
      let leaking = ["evaluate", best, "--data", Self.demo, "--test", train]
      let warned = try Executable.run(leaking)
      #expect(warned.status == 0)
      #expect(
        warned.err.contains("warning: \(best) has been trained on 42 of the 42 test images (100.0 %)"), "\(warned.err)")
      #expect(try Executable.run(leaking + ["--strict"]).status == 12)

      // A checkpoint alone knows the list's name and digest; beside the test list it is found again.
      let moved = folder + "/moved.safetensors"
      try FileManager.default.copyItem(atPath: best, toPath: moved)
      #expect(try Executable.run(["evaluate", moved, "--data", Self.demo, "--test", train, "--strict"]).status == 12)
      let elsewhere = folder + "/elsewhere/list.txt"
      try createFolder(folder + "/elsewhere")
      try FileManager.default.copyItem(atPath: self.list, toPath: elsewhere)
      let inRun = try Executable.run(["evaluate", best, "--data", Self.demo, "--test", elsewhere, "--strict", "--json"])
      #expect(inRun.status == 0)
      let found = try inRun.json()["checkpoints"]?[0]?["trained_on"]?[0]?["list"]?.string
      #expect(found == run + "/lists/train_list.txt")
      let unknown = try Executable.run(["evaluate", moved, "--data", Self.demo, "--test", elsewhere, "--strict"])
      #expect(unknown.status == 12)
      #expect(unknown.err.contains("was trained on train_list.txt, which was not found; give it with --trained-on"))
      let given = ["evaluate", moved, "--data", Self.demo, "--test", elsewhere, "--strict", "--trained-on", train]
      #expect(try Executable.run(given).status == 0)
    }
  }

  @Test func `a report holds everything, with pictures of the worst images, and is not overwritten`() throws {
    try inTemporaryFolder { folder in
      let report = folder + "/out/report"
      let paths = try checkpoints(folder)
      let output = try evaluate(paths + ["--report", report, "--thresholds-from", Self.demo + "/val_list.txt"])
      #expect(output.status == 0, "\(output.err)")
      let names = try FileManager.default.contentsOfDirectory(atPath: report).sorted()
      #expect(
        names == ["predictions-1.csv", "predictions-2.csv", "report.html", "scores.csv", "scores.json", "scores.md"])
      let html = String(decoding: try FileReader.contents(of: report + "/report.html"), as: UTF8.self)
      // Two of each kind, of 14 findings, each a radiograph and a heatmap.
      #expect(html.components(separatedBy: "src=\"data:image/jpeg;base64,").count - 1 == 14 * 4 * 2)
      #expect(html.components(separatedBy: "<svg ").count - 1 == 1 + 14 * 3)
      let again = try evaluate(paths + ["--report", report])
      #expect(again.status == 73)
      let json = try JSONValue.parse(try FileReader.contents(of: report + "/scores.json"))
      let rescored = try Executable.run([
        "evaluate", "--scores", report + "/predictions-2.csv", "--test", list, "--json",
      ])
      #expect(
        try rescored.json()["checkpoints"]?[0]?["findings"]?[3]?["auroc"]
          == json["checkpoints"]?[1]?["findings"]?[3]?["auroc"])
      // Predictions from elsewhere have no pictures.
      let other = folder + "/other"
      let scores = ["evaluate", "--scores", report + "/predictions-1.csv", "--test", list, "--report", other]
      #expect(try Executable.run(scores).status == 0)
      #expect(!String(decoding: try FileReader.contents(of: other + "/report.html"), as: UTF8.self).contains("<img"))
    }
  }

  @Test func `the answer has the form that was asked for`() throws {
    try inTemporaryFolder { folder in
      let path = try checkpoints(folder)[0]
      #expect(try evaluate([path, "--format", "csv"]).out.hasPrefix("checkpoint,group,finding,"))
      let markdown = try evaluate([path, "--format", "markdown", "--reference", "zoogzog"]).out
      #expect(
        markdown.contains("| finding | positives | negatives | AUROC | 95 % interval | zoogzog |\n| --- | ---: |"))
      #expect(try evaluate([path, "--format", "html"]).status == 64)
    }
  }

  @Test(arguments: [
    (["--compare"], "--compare needs two checkpoints"), (["--ensemble"], "--ensemble needs two checkpoints"),
    (["--json", "--format", "csv"], "Give --json or --format"), (["--fail-under", "83"], "--fail-under needs 0 to 1"),
    (["--reference", "chexnett"], "chexnett"),
  ])
  func `options that make no sense are exit 64`(options: [String], says: String) throws {
    try inTemporaryFolder { folder in
      let output = try evaluate([try checkpoints(folder)[0]] + options)
      #expect(output.status == 64)
      #expect(output.err.contains(says), "\(output.err)")
    }
  }
}
