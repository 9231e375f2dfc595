"""tools.serve: on this machine only, and on another port when the first is taken."""

import threading
import urllib.request

from tools.serve import make_server


def test_serves_the_folder_on_loopback_and_steps_aside(tmp_path):
    (tmp_path / "index.html").write_text("the book", encoding="utf-8")
    with make_server(str(tmp_path), port=0) as first:
        assert first.server_address[0] == "127.0.0.1"
        with make_server(str(tmp_path), port=first.server_port) as second:
            assert second.server_port != first.server_port
            thread = threading.Thread(target=second.handle_request)
            thread.start()
            url = f"http://127.0.0.1:{second.server_port}/index.html"
            assert urllib.request.urlopen(url, timeout=300).read() == b"the book"
            thread.join(timeout=300)
            assert not thread.is_alive()
