"""Labels in CSV tables."""

import pytest

from tests.yolo.data.formats import layouts
from yolo.data.folder import open_folder
from yolo.errors import DatasetError

HEADER = "filename,width,height,class,xmin,ymin,xmax,ymax\n"
OPEN_IMAGES = "ImageID,LabelName,XMin,XMax,YMin,YMax,IsTruncated,IsGroupOf\n"


@pytest.fixture
def table(tmp_path):
    """Return a function that opens a data set of one picture, a.jpg, and this table."""

    def make(content, name="train.csv", **files):
        layouts.DRAWN[0].draw(tmp_path / "a.jpg")
        layouts.text(tmp_path / name, content)
        for other, text in files.items():
            layouts.text(tmp_path / f"{other}.csv", text)
        return open_folder(tmp_path)

    return make


def read_one(opened):
    (sample,) = opened.read("train")
    return sample


def test_a_header_names_columns_in_any_order_and_with_any_delimiter(table):
    text = "label;x_min;y_min;x_max;y_max;image_path\r\ncat;1.5;2;30;40;C:\\pics\\a.jpg\r\n"
    sample = read_one(table(text))
    assert sample.boxes_xyxy.tolist() == [[1.5, 2, 30, 40]] and sample.lines.tolist() == [2]


def test_a_table_for_tensorflow_gives_sizes_too(table, caplog):
    read_one(table(HEADER + "a.jpg,80,61,cat,1,2,30,40\n"))
    assert "height and width are not the picture's" in caplog.text


def test_classes_of_keras_retinanet_come_in_the_order_of_their_numbers(table):
    opened = table("a.jpg,1,2,30,40,dog\na.jpg,1,2,9,9,cat\n", classes="dog,1\ncat,2\nant,0\n")
    assert opened.classes == ("ant", "dog", "cat")
    assert read_one(opened).class_ids.tolist() == [1, 2]


def test_groups_of_open_images_are_ignored_and_absent_pictures_are_counted(table, caplog):
    caplog.set_level("INFO")
    rows = "a,/m/1,0,0.5,0,0.5,0,0\na,/m/1,0.5,1,0.5,1,1,1\nb,/m/1,0,1,0,1,0,0\n"
    opened = table(OPEN_IMAGES + rows, **{"class-descriptions-boxable": "/m/1,Cat\n"})
    sample = read_one(opened)
    assert opened.classes == ("Cat",) and opened.kind == "CSV of Open Images"
    assert sample.boxes_xyxy.tolist() == [[0, 0, 40, 30], [40, 30, 80, 60]]
    assert sample.difficult.tolist() == sample.truncated.tolist() == [False, True]
    assert "1 of its 2 pictures are here, the others are passed over" in caplog.text


@pytest.mark.parametrize(
    "rows, words",
    [
        ("a.jpg,80,60,cat,1,2,x,40", "train.csv:2: object: the box '1, 2, x, 40'; expected four"),
        ("a.jpg,80,60,cat,1,2,1_0,40", "train.csv:2: object: the box '1, 2, 1_0, 40'; expected"),
        ("a.jpg,80,60,,1,2,30,40", "train.csv:2: object: no class: correct the line"),
        ("a.jpg,80,60,cat,1,2", "train.csv:2: 6 columns; expected 8: correct the line"),
        ("b.jpg,80,60,cat,1,2,3,4", "train.csv:2: no picture 'b.jpg' below"),
        ("../a.jpg,80,60,cat,1,2,3,4", "train.csv:2: no picture '../a.jpg' below"),
        ("a.jpg,80,60,cat,31,2,30,40", "train.csv:2: object: xmin 31 > xmax 30"),
    ],
)
def test_a_faulty_line_is_named_by_file_and_number(table, rows, words):
    opened = table(HEADER + rows + "\n")
    with pytest.raises(DatasetError) as caught:
        opened.read("train", classes=["cat"])
    assert words in str(caught.value)


def test_a_class_that_the_list_does_not_name_is_refused(table):
    opened = table("a.jpg,1,2,30,40,cow\n", classes="dog,0\ncat,1\n")
    with pytest.raises(DatasetError, match="class 'cow' .* is not among dog, cat"):
        opened.read("train")


@pytest.mark.parametrize(
    "files, words",
    [
        ({"classes": "dog,1\ncat,2\n"}, "its numbers are not 0 to 1, each once"),
        ({"classes": "dog,0\n", "my_classes": "cat,0\n"}, "name different classes: keep one"),
        ({"train_2": "a.jpg,1,2,30,40,dog\n"}, "another table describes train, too: name one"),
    ],
)
def test_files_that_contradict_each_other_are_refused(table, files, words):
    with pytest.raises(DatasetError, match=words):
        table("a.jpg,1,2,30,40,dog\n", **files)


@pytest.mark.parametrize("text", ["", "a,b\n1,2\n", "1,2,3,4,5,6\n", "a.jpg,1,2,x,4,dog\n"])
def test_other_tables_are_none_of_labels(table, text):
    with pytest.raises(DatasetError, match="no data set"):
        table(text)


@pytest.mark.parametrize("row, words", [
    ("x" * 2_000_000, r"train\.csv:2: no readable table \(field larger than field limit"),
    ("a.jpg,80,60,c\u00e4t,1,2,30,40", r"train\.csv:2: no readable table in UTF-8: save it as"),
])  # fmt: skip
def test_what_is_no_table_is_refused_by_its_line(tmp_path, row, words):
    (tmp_path / "train.csv").write_bytes((HEADER + row).encode("latin-1"))
    with pytest.raises(DatasetError, match=words):
        open_folder(tmp_path)


def test_a_table_divided_by_semicolons_may_have_decimal_commas(table):
    opened = table("img_name;class;xmin;ymin;xmax;ymax\na.jpg;cat;1,5;2;30;40,25\n")
    assert read_one(opened).boxes_xyxy.tolist() == [[1.5, 2, 30, 40.25]]
    with pytest.raises(DatasetError, match=r"train.csv:2: .*expected four numbers"):
        read_one(table("img_name;class;xmin;ymin;xmax;ymax\na.jpg;cat;1,5;2;1.000,5;40\n"))
