/// The text files of a synthetic set, with the quirks of the files that they imitate.
struct SyntheticTables {
  /// Every file: its path in the folder, and its text.
  let files: [(path: String, text: String)]

  /// `boxes` holds those of each entry of the plan.
  init(plan: SyntheticPlan, boxes: [[SyntheticBox]]) {
    let entries = plan.entries
    let names = { (isIncluded: (SyntheticPlan.Split) -> Bool) in
      // NIH's lists end without a newline.
      entries.filter { isIncluded($0.split) }.map(\.name).joined(separator: "\n")
    }
    var files = SyntheticPlan.Split.allCases.map { split in
      let lines = entries.filter { $0.split == split }.map(Self.listLine).joined(separator: "\n")
      // Of the 70/10/20 lists, only the first ends with a newline.
      return (path: split.listName, text: split == .train ? lines + "\n" : lines)
    }
    files.append((path: "official/train_val_list.txt", text: names { $0 != .test }))
    files.append((path: "official/test_list.txt", text: names { $0 == .test }))
    files.append((path: "Data_Entry_2017.csv", text: Self.entryTable(entries)))
    files.append((path: "BBox_List_2017.csv", text: Self.boxTable(entries, boxes)))
    self.files = files
  }

  /// `00000001_000.png 0 0 1 …`
  private static func listLine(_ entry: SyntheticPlan.Entry) -> String {
    entry.name + Finding.allCases.map { entry.findings.contains($0) ? " 1" : " 0" }.joined()
  }

  private static func entryTable(_ entries: [SyntheticPlan.Entry]) -> String {
    // The commas in the brackets are NIH's: a reader of CSV sees eleven columns.
    var text =
      "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position,"
      + "OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y]\n"
    for entry in entries {
      let labels = entry.findings.isEmpty ? "No Finding" : entry.findings.map(\.name).sorted().joined(separator: "|")
      // Pixels and millimetres of the two commonest detectors there.
      let original = entry.isAnteroposterior ? "2500,2048,0.168,0.168" : "2992,2991,0.143,0.143"
      text += "\(entry.name),\(labels),\(entry.followUp),\(entry.patient),\(entry.age),\(entry.isMale ? "M" : "F"),"
      text += "\(entry.isAnteroposterior ? "AP" : "PA"),\(original)\n"
    }
    return text
  }

  private static func boxTable(_ entries: [SyntheticPlan.Entry], _ boxes: [[SyntheticBox]]) -> String {
    var text = "Image Index,Finding Label,Bbox [x,y,w,h],,,\n"
    for (entry, boxes) in zip(entries, boxes) {
      for box in boxes {
        // NIH's file of boxes alone says `Infiltrate`.
        let label = box.finding == .infiltration ? "Infiltrate" : box.finding.name
        text += "\(entry.name),\(label),\(box.x).0,\(box.y).0,\(box.side).0,\(box.side).0\n"
      }
    }
    return text
  }
}

extension SyntheticPlan.Split {
  var listName: String {
    switch self {
    case .train: "train_list.txt"
    case .validation: "val_list.txt"
    case .test: "test_list.txt"
    }
  }
}
