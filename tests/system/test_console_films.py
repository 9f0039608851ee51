"""The console films people who log in: they do what the service asks, blink, and are no stills."""

import re
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import expect

from app.recognition.detector import FaceDetector
from testbed import challenge_films, films
from testbed.browser import Browser
from testbed.photos import GRACE_HOPPER, picture
from testbed.serving import RunningService
from tests.support.console import console, enrol, start, told
from tools.liveness_service import LivenessService

FILM_S = 6.0  # how long the page films the moves of a challenge
TRIES = 4  # one film in ten is refused


@pytest.mark.timed
def test_a_challenge_is_filmed_and_must_be_performed(
    browser: Browser, detector: FaceDetector, tmp_path: Path
) -> None:
    portrait = films.portrait(picture(GRACE_HOPPER), detector, longest=480)
    browser.webcam.show(portrait.picture)
    with RunningService(tmp_path) as service, browser.tab() as tab:
        page = console(tab, service)
        start(tab)
        enrol(tab)
        page.get_by_text("Check more than the face").click()
        page.get_by_label("Movements").check()
        for attempt in range(TRIES):
            with page.expect_response("**/liveness-sessions") as opened:
                tab.click("Log in")
            session = opened.value.json()
            expect(page.locator(".detail")).to_contain_text(session["moves"][0])
            rng = np.random.default_rng(attempt)
            moments = challenge_films.performing(session["challenge"], rng)
            frames = films.filmed(portrait, moments, rng, films.Camera(quality=95))
            # On a busy machine the film may be over before its pictures are made; then try again.
            page.wait_for_selector("[data-state=filming], .verdict")
            browser.webcam.play(frames, FILM_S)
            expect(page.locator(".verdict")).to_be_visible()
            if page.get_by_role("heading", name="Welcome").count():
                print(f"the challenge passed at attempt {attempt + 1}")
                break
            browser.webcam.show(portrait.picture)
        assert re.search(r"Movements\s+passed", told(tab, "Welcome"))
        browser.webcam.show(portrait.picture)
        tab.click("Log in")  # and does nothing
        page.wait_for_selector("[data-state=filming]")
        text = told(tab, "Not logged in")
        assert "The recording does not show what was asked." in text
        assert re.search(r"Movements\s+failed", text)


def test_blinking_and_fraud_are_checked_in_a_film(
    browser: Browser, liveness: LivenessService, tmp_path: Path
) -> None:
    browser.webcam.show(GRACE_HOPPER)
    address = liveness.url
    with RunningService(tmp_path, LIVENESS_SERVICE_URL=address) as service, browser.tab() as tab:
        page = console(tab, service)
        start(tab)
        enrol(tab)
        page.get_by_text("Check more than the face").click()
        page.get_by_label("Blinking").check()
        liveness.told(rule="alive")
        tab.click("Log in")
        assert re.search(r"Blinking\s+passed", told(tab, "Welcome"))
        assert len(liveness.asked[-1]["frames"]) == films.FRAMES
        page.get_by_label("Fraud detection").check()
        tab.click("Log in")  # with a still
        text = told(tab, "Not logged in")
        assert "The fraud detection does not believe these pictures." in text
        assert re.search(r"Fraud detection\s+failed", text)
