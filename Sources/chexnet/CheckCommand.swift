import ArgumentParser
import ChestXray
import Evaluation
import Foundation
import Platform

struct CheckCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "check", abstract: "Check lists, labels and images, and find everything that is wrong at once.",
    discussion: """
      Examples:
        chexnet check --data images --lists train_list.txt val_list.txt test_list.txt
        chexnet check --data images --lists train_val_list.txt test_list.txt --labels Data_Entry_2017_v2020.csv
        chexnet check --lists train_list.txt test_list.txt

      Every image is decoded and its checksums are compared. Wrong are images that are missing, unreadable, or the same picture under another
      name, and images and patients that two lists share. Without --data the lists alone are checked. Exit 0 where nothing is wrong, 66 where images are missing
      and nothing else, else 65.
      """)

  @Option(help: ArgumentHelp("The folder of radiographs.", valueName: "folder"))
  var data: String?

  @Option(parsing: .upToNextOption, help: ArgumentHelp("The lists of images.", valueName: "list"))
  var lists: [String]

  @Option(help: ArgumentHelp("A table whose labels replace the lists' own.", valueName: "table.csv"))
  var labels: String?

  @Option(help: ArgumentHelp("Threads; by default as many as this process may run on.", valueName: "n"))
  var threads: Int?

  @Flag(help: "Print one JSON document.")
  var json = false

  func validate() throws {
    if let threads, threads < 1 { throw ValidationError("--threads needs at least 1, found \(threads).") }
  }

  func run() throws {
    let line = ProgressLine(.auto)
    let check = try DataCheck(
      lists: lists, labels: labels, folder: data.map { try ImageFolder(path: $0) }, pool: ThreadPool(threads: threads)
    ) { done, count in line.show(done, of: count, "checking images") }
    line.clear()
    let report = CheckReport(check)
    if json { printJSON(report.json) } else { print(report.text) }
    if check.faultCount > 0 { throw report.status }
  }
}
